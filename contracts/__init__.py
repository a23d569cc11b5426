"""The VirtualGroups contract, its sources and its compiled artifact."""

from contracts.compiled import ByteRange, ContractArtifact, load_artifact

__all__ = ["ByteRange", "ContractArtifact", "load_artifact"]
