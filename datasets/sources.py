"""Where the files of a data set come from, as data: `craft data check` and `download` work from these
declarations and hold no code of their own per data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Counts(NamedTuple):
    """Size of a full data set before any few-shot draw: classes and images of each part.

    ``val`` is None where a data set has no validation part of its own (ImageNet validates on its test images).
    """

    classes: int
    train: int
    val: int | None
    test: int


@dataclass(frozen=True)
class Source:
    """One download.

    url         direct address, empty where only a person can fetch it (login, licence, moved page)
    gdrive      Google Drive file id, empty where it is not on Drive
    page        the page a person should open
    filename    name to save the download under
    unpack      None for a plain file that is stored at its DataFile's path; otherwise the archive's members go below
                this folder ("" is the data set's own folder), relative to the data set's folder
    strip       leading path inside the archive that is dropped; members elsewhere are left out
    size, md5, sha256   of the download, where published
    """

    url: str = ""
    gdrive: str = ""
    page: str = ""
    filename: str = ""
    unpack: str | None = None
    strip: str = ""
    size: int | None = None
    md5: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        """One phrase for an error message: the address a person should open."""
        drive = f"https://drive.google.com/file/d/{self.gdrive}/view" if self.gdrive else ""
        return self.url or drive or self.page or "its authors"

    @property
    def scripted(self) -> bool:
        """Whether `download` can fetch it without a person."""
        return bool(self.url or self.gdrive)


MIRROR = "https://huggingface.co/zhengli97/prompt_learning_dataset"
MIRROR_REVISION = "ceb3112337fb6e1bf71534e355ca5569b63f19a6"


def mirrored(archive: str, folder: str, sha256: str = "", size: int | None = None) -> Source:
    """The copy that PromptKD's authors keep of a data set's whole folder, CoOp's split file included.

    Args:
        archive: its file in the mirror, at a fixed revision.
        folder: the archive's top folder, which is dropped.
        sha256, size: as the mirror publishes them. Left out where they are not known here: then nothing but the
            reader's counts says that the archive is what it should be.
    """
    return Source(
        url=f"{MIRROR}/resolve/{MIRROR_REVISION}/{archive}",
        page=MIRROR,
        filename=f"mirror-{archive}",
        unpack="",
        strip=folder,
        sha256=sha256,
        size=size,
    )


@dataclass(frozen=True)
class DataFile:
    """A file or folder that a data set's folder should hold.

    path        relative to the data set's folder, with /
    kind        "file" or "dir"
    role        "required"; "split" (the published split: optional, a split is made without it); "annotations"
                (read only where the published split is absent); "extra" (never read)
    images      number of images in and below a folder of the full set, where known
    folders     number of folders directly inside a folder of the full set, where known; 0 where only images lie in it,
                else its images lie in these
    nested      True where the images of a folder lie at any depth below it, neither directly in it nor in ``folders``
    size, md5, sha256   of a plain file, where published
    sources     alternatives, best first; an archive may bring several DataFiles (they share one Source)
    """

    path: str
    kind: str = "file"
    role: str = "required"
    images: int | None = None
    folders: int | None = None
    nested: bool = False
    size: int | None = None
    md5: str = ""
    sha256: str = ""
    sources: tuple[Source, ...] = ()

    @property
    def origin(self) -> str:
        """Where to get it, for a message."""
        return str(self.sources[0]) if self.sources else "its authors"
