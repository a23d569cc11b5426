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
    axis.legend(loc="lower right")
    save(figure, results.folder, "gas")


@styled
def plot_joins(results: Results) -> None:
    """Median time to join, split; above it the p95 and the p99 of the whole."""
    by_site = {site: crowd_sizes(crowds) for site, crowds in results.values("joins").items()}
    figure, axes = new_figure(3.6 * len(by_site), 3.8, columns=len(by_site))
    for axis, (site, sizes) in zip(axes, by_site.items(), strict=True):
        _draw_joins(axis, sizes)
        axis.set_title(site)
    axes[0].set_ylabel("seconds from M1 to M6")
    axes[0].legend(loc="upper left", fontsize=8)
    figure.suptitle("Time to join, by devices that start at once")
    save(figure, results.folder, "joins")


def _draw_joins(axis: Axes, sizes: list[CrowdSize]) -> None:
    places = range(len(sizes))
    bottoms = [0.0] * len(sizes)
    for name, label, colour in _SPLIT:
        heights = [size.times[name]["p50"] for size in sizes]
        axis.bar(places, heights, 0.6, bottom=bottoms, color=colour, label=f"{label}, p50")
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    for name, marker in (("p95", "_"), ("p99", "^")):
        axis.plot(
            places, [size.times["total_s"][name] for size in sizes], marker, color="#222222", label=f"all, {name}"
        )
    axis.set_xticks(places, [f"{size.devices:,}" for size in sizes])
    axis.set_xlabel("devices at once")
    axis.set_ylim(bottom=0)
    axis.grid(visible=False, axis="x")


@styled
def plot_crowds(results: Results) -> None:
    """Associations a second, and gas for each device, by devices that start at once."""
    figure, (speed, gas) = new_figure(8.6, 3.6, columns=2)
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
        axis.axvline(target_s, color="#444444", linestyle="--", linewidth=1)
        axis.text(target_s, 0.03, f" target for p99: {target_s:g} s", fontsize=8, rotation=90, va="bottom", ha="right")
    axis.set_xlabel("seconds until the session is cut")
    axis.set_ylabel("share of the revocations")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 1.02)
    axis.set_title("From the revocation's block to the cut")
    axis.legend(loc="lower center", fontsize=8)
    save(figure, results.folder, "revocation")


def _draw_share(axis: Axes, values: list[float], colour: Any, label: str) -> None:  # noqa: ANN401 - matplotlib's colour
    ordered = sorted(values)
    shares = [(at + 1) / len(ordered) for at in range(len(ordered))]
    axis.step(ordered, shares, where="post", color=colour, label=label)
    p99 = percentile(ordered, 99)
    axis.plot([p99], [0.99], "o", color=colour, markersize=4)
