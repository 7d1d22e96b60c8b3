"""What the service knows, in one SQLite file: corrected samples, retraining jobs, model versions.

Every method is one transaction, written through to the disk before it returns (write-ahead log, synchronous=FULL),
so what was acknowledged outlives the process. Times are Unix seconds.
"""

import time
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import JSON, Engine, String, create_engine, event, func, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from netchu.core.errors import NetchuError

RUNNING, DONE, FAILED, CANCELLED, INTERRUPTED = "running", "done", "failed", "cancelled", "interrupted"


class Table(DeclarativeBase):
    """Base of the tables."""

    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready mapping of every column."""
        return {column.name: getattr(self, column.name) for column in self.__table__.columns}


class Sample(Table):
    """A corrected line; its image and the same facts lie in the samples folder, which is the truth."""

    __tablename__ = "samples"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # content_id of the image
    number: Mapped[int] = mapped_column(unique=True)  # 1 for the first one
    text: Mapped[str]
    read_text: Mapped[str | None]  # what the service had read
    version: Mapped[int | None]  # the version that had read it
    held_out: Mapped[bool]  # never trained on; decides promotions
    created: Mapped[float]


class Version(Table):
    """A model version: bundles in the versions folder."""

    __tablename__ = "versions"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    files: Mapped[list[str]]  # relative to the versions folder
    parent: Mapped[int | None]
    job: Mapped[int | None]
    note: Mapped[str]
    created: Mapped[float] = mapped_column(default=time.time)


class Promotion(Table):
    """A version was put to service; the last row names the one that serves."""

    __tablename__ = "promotions"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]
    created: Mapped[float] = mapped_column(default=time.time)


class Job(Table):
    """A retraining; its files lie in the jobs folder under its id."""

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default=RUNNING)
    base: Mapped[int]  # version that it starts from
    version: Mapped[int | None]  # version that it made
    message: Mapped[str] = mapped_column(default="")
    report: Mapped[dict[str, Any] | None]
    created: Mapped[float] = mapped_column(default=time.time)
    finished: Mapped[float | None]


Row = TypeVar("Row", bound=Table)


def open_engine(path: Path) -> Engine:
    """The database, made when it is missing; raises NetchuError when the file is no usable database."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    try:
        Table.metadata.create_all(engine)
    except DatabaseError as error:
        raise NetchuError(f"{path}: is no database of this service ({error.orig}); choose another --data") from error
    return engine


class Store:
    """The tables behind methods; rows come back detached, as plain objects."""

    def __init__(self, path: Path) -> None:
        self.engine = open_engine(path)
        self._session = sessionmaker(self.engine, expire_on_commit=False)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def save(self, row: Table) -> None:
        """Insert a row or write its changes."""
        with self._session.begin() as session:
            session.merge(row)

    def insert(self, row: Table) -> None:
        """Insert a row; it gets its id."""
        with self._session.begin() as session:
            session.add(row)

    def sample(self, key: str) -> Sample | None:
        """The sample with that content, if there is one."""
        return self._get(Sample, key)

    def samples(self, most: int | None = None) -> list[Sample]:
        """The last samples in the order in which they came; all without `most`."""
        with self._session() as session:
            return list(session.scalars(select(Sample).order_by(Sample.number.desc()).limit(most)))[::-1]

    def last_number(self) -> int:
        """Number of the last sample, 0 without one."""
        with self._session() as session:
            return session.scalar(select(func.max(Sample.number))) or 0

    def count_samples(self) -> tuple[int, int, int]:
        """(all samples, those held out, those that had been read otherwise)."""
        count = select(func.count()).select_from(Sample)
        with self._session() as session:
            held_out = session.scalar(count.where(Sample.held_out))
            changed = session.scalar(count.where(Sample.read_text != Sample.text))
            return session.scalar(count) or 0, held_out or 0, changed or 0

    def version(self, key: int) -> Version | None:
        """The version with that number, if there is one."""
        return self._get(Version, key)

    def version_by_digest(self, digest: str) -> Version | None:
        """The version with that content, if there is one."""
        with self._session() as session:
            return session.scalar(select(Version).where(Version.digest == digest))

    def versions(self) -> list[Version]:
        """All versions, the newest first."""
        with self._session() as session:
            return list(session.scalars(select(Version).order_by(Version.id.desc())))

    def active_version(self) -> int | None:
        """The version that was promoted last."""
        with self._session() as session:
            return session.scalar(select(Promotion.version).order_by(Promotion.id.desc()).limit(1))

    def job(self, key: int) -> Job | None:
        """The job with that number, if there is one."""
        return self._get(Job, key)

    def jobs(self, most: int = 20) -> list[Job]:
        """The last jobs, the newest first."""
        with self._session() as session:
            return list(session.scalars(select(Job).order_by(Job.id.desc()).limit(most)))

    def mark_interrupted(self) -> int:
        """Jobs that a stopped service left as running become interrupted; returns how many."""
        with self._session() as session:
            left = list(session.scalars(select(Job).where(Job.state == RUNNING)))
        for job in left:
            job.state, job.message = INTERRUPTED, "the service was stopped; continue the job when you like"
            self.save(job)
        return len(left)

    def _get(self, table: type[Row], key: str | int) -> Row | None:
        with self._session() as session:
            return session.get(table, key)
