"""What can go wrong while the mesh starts, said in one sentence with the way out."""


class MeshError(RuntimeError):
    """The mesh cannot do what was asked; the message names the trouble and what to change."""


class PortTaken(MeshError):
    """A port that a part of the mesh needs is in use by somebody else."""

    def __init__(self, *, port: int, part: str, setting: str) -> None:
        super().__init__(
            f"port {port} for {part} is taken by another process: stop that process or choose "
            f"another port with {setting}"
        )
        self.port, self.part, self.setting = port, part, setting


class StartFailed(MeshError):
    """A process ended, or stayed silent, before it was ready."""

    def __init__(self, *, part: str, trouble: str, log: str, tail: str) -> None:
        shown = f"\n--- last lines of {log}\n{tail}" if tail else f" (its log {log} is empty)"
        super().__init__(f"{part} did not start: {trouble}{shown}")
        self.part = part


class BinaryMissing(MeshError):
    """A program that the mesh runs is not on this machine."""

    def __init__(self, *, part: str, wanted: str, way_out: str) -> None:
        super().__init__(f"the program of {part} is missing ({wanted}): {way_out}")
        self.part = part
