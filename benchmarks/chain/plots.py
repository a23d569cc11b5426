"""The plots of the results, as PNG and SVG."""

from typing import Any, Final

from matplotlib.axes import Axes

from benchmarks.chain.figures import percentile
from benchmarks.chain.joined import CrowdSize, crowd_sizes
from benchmarks.chain.page import REVOCATION_TARGET_MARGIN_S, delays
from benchmarks.chain.results import Results
from measure.report.plots import PALETTE, new_figure, save, styled

_SPLIT: Final = (("crypto_s", "crypto", PALETTE[2]), ("other_s", "HTTP, store, waiting", PALETTE[1]),
                 ("chain_s", "chain", PALETTE[0]))  # fmt: skip


def write_plots(results: Results) -> None:
    """Those for which there are results."""
    if results.values("gas"):
        plot_gas(results)
    if results.values("joins"):
        plot_joins(results)
        plot_crowds(results)
    if results.values("revocation"):
        plot_revocation(results)


@styled
def plot_gas(results: Results) -> None:
    """Gas of every act, but for the deployment, which would make all others small."""
    by_site = results.values("gas")
    acts = [act for act in next(iter(by_site.values())) if act != "deployment"][::-1]
    figure, (axis,) = new_figure(8.0, 4.6)
    height = 0.8 / len(by_site)
    for at, (site, gas) in enumerate(by_site.items()):
        middles = [index + 0.4 - height * (at + 0.5) for index in range(len(acts))]
        bars = axis.barh(middles, [gas[act] / 1e3 for act in acts], height, color=PALETTE[at], label=site)
        if at == 0:
            axis.bar_label(bars, [f"{gas[act]:,.0f}" for act in acts], padding=3, fontsize=8)
    axis.set_yticks(range(len(acts)), acts)
    axis.set_xlabel("thousand gas; of a batch, for each device in it")
    axis.set_title("What each act of the contract costs")
    axis.grid(visible=False, axis="y")
    axis.set_xlim(right=axis.get_xlim()[1] * 1.08)
    axis.legend(loc="center right")
    save(figure, results.folder, "gas")


@styled
def plot_joins(results: Results) -> None:
    """Of what the median join is made, in per cent: one device takes milliseconds, a thousand take seconds."""
    by_site = {site: crowd_sizes(crowds) for site, crowds in results.values("joins").items()}
    figure, axes = new_figure(3.6 * len(by_site), 3.8, columns=len(by_site))
    for axis, (site, sizes) in zip(axes, by_site.items(), strict=True):
        _draw_joins(axis, sizes)
        axis.set_title(site)
    axes[0].set_ylabel("share of the time from M1 to M6, per cent")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle("Time to join, by devices that start at once: p50 / p95 / p99 in seconds")
    save(figure, results.folder, "joins")


def _draw_joins(axis: Axes, sizes: list[CrowdSize]) -> None:
    places = range(len(sizes))
    sums = [sum(size.times[name]["p50"] for name, _, _ in _SPLIT) for size in sizes]
    bottoms = [0.0] * len(sizes)
    for name, label, colour in _SPLIT:
        heights = [100 * size.times[name]["p50"] / whole for size, whole in zip(sizes, sums, strict=True)]
        axis.bar(places, heights, 0.6, bottom=bottoms, color=colour, label=label)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    for place, size in zip(places, sizes, strict=True):
        total = size.times["total_s"]
        text = "\n".join(f"{total[name]:.3g}" for name in ("p50", "p95", "p99"))
        axis.text(place, 102, text, ha="center", va="bottom", fontsize=8)
    axis.set_xticks(places, [f"{size.devices:,}" for size in sizes])
    axis.set_xlabel("devices at once")
    axis.set_ylim(0, 128)
    axis.set_yticks(range(0, 101, 25))
    axis.grid(visible=False, axis="x")


@styled
def plot_crowds(results: Results) -> None:
    """Associations a second, and gas for each device, by devices that start at once."""
    figure, (speed, gas) = new_figure(8.6, 3.6, columns=2)
    devices: list[int] = []
    for at, (site, crowds) in enumerate(results.values("joins").items()):
        sizes = crowd_sizes(crowds)
        devices = [size.devices for size in sizes]
        speed.plot(devices, [size.per_s for size in sizes], "o-", color=PALETTE[at], label=site)
        gas.plot(devices, [size.gas_per_device / 1e3 for size in sizes], "o-", color=PALETTE[at], label=site)
    for axis, title, label in (
        (speed, "Associations a second", "from the first M1 to the last M6"),
        (gas, "Gas for each device", "thousand gas"),
    ):
        axis.set_xscale("log")
        axis.set_xticks(devices, [f"{each:,}" for each in devices])
        axis.minorticks_off()
        axis.set_xlabel("devices at once")
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.set_title(title)
    speed.legend()
    save(figure, results.folder, "crowds")


@styled
def plot_revocation(results: Results) -> None:
    """How many of the revoked were cut off after how long."""
    figure, (axis,) = new_figure(6.4, 3.8)
    for site, found in results.values("revocation").items():
        for at, (begin, label) in enumerate((("arrived_unix_s", "arrival at the node"), ("block_unix_s", "timestamp"))):
            _draw_share(axis, delays(found["cuts"], begin), PALETTE[at], f"{site}: from its block's {label}")
        target_s = found["period_s"] + REVOCATION_TARGET_MARGIN_S
        axis.axvline(target_s, color="#444444", linestyle="--", linewidth=1, label=f"target for p99: {target_s:g} s")
    axis.set_xlabel("seconds until the session is cut")
    axis.set_ylabel("share of the revocations")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 1.02)
    axis.set_title("From the revocation's block to the cut")
    axis.legend(loc="center right", fontsize=8)
    save(figure, results.folder, "revocation")


def _draw_share(axis: Axes, values: list[float], colour: Any, label: str) -> None:  # noqa: ANN401 - matplotlib's colour
    ordered = sorted(values)
    shares = [(at + 1) / len(ordered) for at in range(len(ordered))]
    axis.step(ordered, shares, where="post", color=colour, label=label)
    p99 = percentile(ordered, 99)
    axis.plot([p99], [0.99], "o", color=colour, markersize=4)
