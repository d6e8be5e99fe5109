"""The error tree of the archive.

ArchiveError
├── BadDigestError            a text is not a SHA-256 in lower-case hex: carries the text
├── BadNameError              no document may have this name: carries the name
├── BadUrlError               an archive address cannot be opened: carries the address and why
├── DigestMismatchError       bytes are not what was announced: carries both digests
├── BlobTooLargeError         a stream exceeds its limit: carries the limit
├── BlobMissingError          a blob is not stored: carries its digest
├── BlobDamagedError          stored bytes of a blob changed: carries digest and place
├── DocumentMissingError      a document is not stored: carries its name
├── DocumentDamagedError      stored bytes of a document changed: carries name and place
├── FrameDamagedError         stored bytes are not a valid frame; callers name the blob or document
└── ArchiveUnreachableError   the storage does not answer: carries place and reason

`app/errors.py` maps each to an HTTP status. Every error is one sentence: what failed, where, what
to do.
"""


class ArchiveError(Exception):
    """Root of every error that this package raises on purpose."""


class BadDigestError(ArchiveError):
    """A text that is no digest."""

    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(
            f"{str(text)[:80]!r} is not a digest; write SHA-256 as 64 lower-case hexadecimal "
            "characters."
        )


class BadNameError(ArchiveError):
    """A name that no document may have."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"No document may be named {name[:80]!r}; join parts of A-Z a-z 0-9 . _ - by slashes, "
            "none of them beginning with a dot, ending in .document or longer than 200 "
            "characters, 500 in all."
        )


class BadUrlError(ArchiveError):
    """An archive address that cannot be opened."""

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        self.why = why
        super().__init__(
            f"The archive address {url!r} (JOBPROV_ARCHIVE_URL) cannot be opened: {why}."
        )


class DigestMismatchError(ArchiveError):
    """Bytes that are not what was announced; nothing was stored."""

    def __init__(self, expected: str, actual: str) -> None:
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"The bytes have SHA-256 {actual}, not {expected} as announced; send the blob again."
        )


class BlobTooLargeError(ArchiveError):
    """A stream that passed its limit; nothing was stored."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(
            f"The blob is larger than the limit of {limit_bytes} bytes; it was not stored."
        )


class BlobMissingError(ArchiveError):
    """A blob that is not here."""

    def __init__(self, sha256: str) -> None:
        self.sha256 = sha256
        super().__init__(f"No blob {sha256} is stored in this archive; upload it first.")


class BlobDamagedError(ArchiveError):
    """A blob whose stored bytes changed, in every copy that was found."""

    def __init__(self, sha256: str, where: str, detail: str) -> None:
        self.sha256 = sha256
        self.where = where
        self.detail = detail
        super().__init__(
            f"Blob {sha256} is damaged in {where}: {detail}; upload it again or restore a backup."
        )


class DocumentMissingError(ArchiveError):
    """A document that is not here."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"No document {name!r} is stored in this archive; restore it from a backup."
        )


class DocumentDamagedError(ArchiveError):
    """A document whose stored bytes changed."""

    def __init__(self, name: str, where: str, detail: str) -> None:
        self.name = name
        self.where = where
        self.detail = detail
        super().__init__(
            f"Document {name!r} is damaged in {where}: {detail}; restore it from a backup."
        )


class FrameDamagedError(ArchiveError):
    """Stored bytes that do not read as a frame."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"Stored bytes do not read as a frame: {detail}.")


class ArchiveUnreachableError(ArchiveError):
    """The storage does not answer, has no room, or refuses; `advice` says what to look at."""

    def __init__(
        self, where: str, reason: str, advice: str = "check the disk, its space and permissions"
    ) -> None:
        self.where = where
        self.reason = reason
        self.advice = advice
        super().__init__(f"The archive at {where} cannot be used: {reason}; {advice}.")
