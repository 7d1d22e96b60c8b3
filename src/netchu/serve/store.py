"""What the service knows, in one database: kept samples, sums over them, retraining jobs, model versions.

The database is a SQLite file, or PostgreSQL for several processes. Every method is one transaction, on the disk before
it returns, so what was acknowledged outlives the process. Times are Unix seconds.
"""

import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import (
    JSON,
    Engine,
    Select,
    String,
    create_engine,
    event,
    false,
    func,
    inspect,
    make_url,
    select,
    true,
    update,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.schema import CreateColumn

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.core.metrics import accuracy_by_character, distance

RUNNING, DONE, FAILED, CANCELLED, INTERRUPTED = "running", "done", "failed", "cancelled", "interrupted"
ALL, CHANGED, LINES, CHARACTERS, CHARACTER = "all", "changed", "lines", "characters", "character"  # kinds of sums
MAX_CHARACTERS = 300  # of a line
CHUNK = 500  # rows that a long query fetches at a time


class Table(DeclarativeBase):
    """Base of the tables."""

    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready mapping of every column."""
        return {column.name: getattr(self, column.name) for column in self.__table__.columns}


class Sample(Table):
    """A kept line; its image and the same facts lie in the samples folder, which is the truth."""

    __tablename__ = "samples"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # content_id of the image
    number: Mapped[int] = mapped_column(unique=True)  # 1 for the first one
    text: Mapped[str]
    read_text: Mapped[str | None]  # what the service had read
    version: Mapped[int | None]  # the version that had read it
    held_out: Mapped[bool]  # never trained on; decides promotions
    created: Mapped[float]
    checked: Mapped[bool] = mapped_column(default=True, server_default=true())  # a person has confirmed the text
    confidence: Mapped[float | None]  # of the reading
    accept: Mapped[bool | None]  # whether the reading was safe
    batch: Mapped[str] = mapped_column(default="", server_default="", index=True)
    name: Mapped[str] = mapped_column(default="", server_default="")  # of the file that it came in
    page: Mapped[dict[str, Any] | None]  # where it stands on its page: number, size, corners
    folded: Mapped[str] = mapped_column(default="", server_default="")  # the text, for searching

    def facts(self) -> dict[str, Any]:
        """What the samples folder keeps of it."""
        return {key: value for key, value in self.to_dict().items() if key != "folded"}


class Sum(Table):
    """A sum over all checked samples, kept while they come and go. What `total` and `part` count, by `kind`:

    all: samples, those held out; changed: samples that had been read otherwise; lines of a version (`name`), those
    read right; characters of a version, edits between reading and text; a character (`name`), how often read right.
    """

    __tablename__ = "sums"
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    total: Mapped[int]
    part: Mapped[int]


class Version(Table):
    """A model version: bundles in the versions folder."""

    __tablename__ = "versions"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    files: Mapped[list[str]]  # relative to the versions folder
    parent: Mapped[int | None]
    job: Mapped[int | None]
    note: Mapped[str]  # where it comes from
    name: Mapped[str] = mapped_column(default="", server_default="")  # that a person gave it
    created: Mapped[float] = mapped_column(default=time.time)


class Promotion(Table):
    """A version was put to service; the last row names the one that serves."""

    __tablename__ = "promotions"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]
    created: Mapped[float] = mapped_column(default=time.time)
    named: Mapped[bool] = mapped_column(default=False, server_default=false())  # by the command line, at a start


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
    wanted: Mapped[str] = mapped_column(default="", server_default="")  # the state that a stop was asked for


Row = TypeVar("Row", bound=Table)
Composed = Annotated[str, Field(max_length=MAX_CHARACTERS), AfterValidator(normalise)]  # as texts and names are kept


class Wanted(BaseModel):
    """Which samples are asked for; also as parameters of a request."""

    search: Composed = ""
    batch: Composed | None = None
    state: Literal["", "checked", "unchecked"] = ""
    order: Literal["newest", "oldest", "doubtful"] = "newest"

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """The query with these conditions."""
        if self.search:
            query = query.where(Sample.folded.contains(self.search.casefold(), autoescape=True))
        if self.batch is not None:
            query = query.where(Sample.batch == self.batch)
        if self.state:
            query = query.where(Sample.checked == (self.state == "checked"))
        return query

    def sort(self, query: Select[Any]) -> Select[Any]:
        """The query in this order; doubtful: those that nobody has checked first, the least sure of them first."""
        if self.order == "doubtful":
            return query.order_by(Sample.checked, func.coalesce(Sample.confidence, 0.0), Sample.number)
        return query.order_by(Sample.number if self.order == "oldest" else Sample.number.desc())


def open_engine(url: str) -> Engine:
    """The database of a URL, with its tables; raises NetchuError when it cannot be used.

    Tables of an older version of the service get the columns that they lack.
    """
    try:
        address = make_url(url)
        if address.drivername == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
        if address.get_backend_name() not in ("sqlite", "postgresql"):
            raise NetchuError(f"--database {address.render_as_string()}: expected postgresql://...")
        shared = address.get_backend_name() == "postgresql"
        options: dict[str, Any] = (
            {"pool_pre_ping": True, "max_overflow": 20} if shared else {"connect_args": {"timeout": 30}}
        )
        engine = create_engine(address, **options)
    except (ArgumentError, ValueError) as error:  # ValueError: of a port
        raise NetchuError(f"--database: is no database URL ({error}); expected postgresql://...") from error
    except ModuleNotFoundError as error:
        raise NetchuError(f"{error.name} is not installed; run pip install 'netchu[postgres]'") from error
    if not shared:

        @event.listens_for(engine, "connect")
        def configure(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    try:
        with engine.begin() as connection:
            if shared:  # processes that start together
                connection.execute(select(func.pg_advisory_xact_lock(lock_number("tables"))))
            Table.metadata.create_all(connection)
            for table in Table.metadata.sorted_tables:
                known = {column["name"] for column in inspect(connection).get_columns(table.name)}
                for column in table.columns:
                    if column.name not in known:
                        made = CreateColumn(column).compile(dialect=engine.dialect)
                        connection.execute(sql(f"ALTER TABLE {table.name} ADD COLUMN {made}"))
    except (DatabaseError, InterfaceError) as error:
        engine.dispose()
        where = address.render_as_string() if shared else address.database
        reason = str(error.orig).strip().splitlines()[0]
        raise NetchuError(f"{where}: is no database of this service ({reason}); choose another one") from error
    return engine


def lock_number(name: str) -> int:
    """Number of an advisory lock of PostgreSQL."""
    return zlib.crc32(f"netchu {name}".encode())


def sums_of(sample: Sample) -> dict[tuple[str, str], tuple[int, int]]:
    """What a sample adds to the sums, by their kind and name."""
    if not sample.checked:
        return {}
    sums = {(ALL, ""): (1, int(sample.held_out))}
    read = sample.read_text
    if read is None:
        return sums
    if read != sample.text:
        sums[CHANGED, ""] = (1, 0)
    if sample.version is not None:
        sums[LINES, str(sample.version)] = (1, int(read == sample.text))
        sums[CHARACTERS, str(sample.version)] = (len(sample.text), distance(read, sample.text))
        for character, (right, seen) in accuracy_by_character([read], [sample.text]).items():
            sums[CHARACTER, character] = (seen, right)
    return sums


def count_checked(sums: Mapping[str, Mapping[str, tuple[int, int]]]) -> tuple[int, int, int]:
    """(checked samples, those held out, those that had been read otherwise) of all sums by kind and name."""
    every, held_out = sums.get(ALL, {}).get("", (0, 0))
    changed, _ = sums.get(CHANGED, {}).get("", (0, 0))
    return every, held_out, changed


class Store:
    """The tables behind methods; rows come back detached, as plain objects."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.shared = self.engine.dialect.name == "postgresql"  # with other processes
        self._session = sessionmaker(self.engine, expire_on_commit=False)
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        with self.exclusive("samples"), self._session.begin() as session:
            for sample in session.scalars(select(Sample).where(Sample.folded == "", Sample.text != "")):
                sample.folded = sample.text.casefold()  # of an older version of the service, as are absent sums
            if not session.scalar(select(func.count()).select_from(Sum)):
                self._change_sums(session, *((sample, 1) for sample in self.samples()))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Only one thread of all processes on this database is inside at a time."""
        with self._locks[name]:
            if not self.shared:
                yield
                return
            with self.engine.begin() as connection:
                connection.execute(select(func.pg_advisory_xact_lock(lock_number(name))))
                yield

    def hold(self, name: str) -> Callable[[], None] | None:
        """Hold a lock until the function that is returned is called or this process ends; None when another process
        holds it."""
        if not self.shared:
            return lambda: None
        connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not connection.scalar(select(func.pg_try_advisory_lock(lock_number(name)))):
            connection.close()
            return None

        def release() -> None:
            connection.execute(select(func.pg_advisory_unlock(lock_number(name))))
            connection.close()

        return release

    def save(self, row: Table) -> None:
        """Insert a row or write its changes."""
        with self._session.begin() as session:
            session.merge(row)

    def insert(self, row: Table) -> None:
        """Insert a row; it gets its id."""
        with self._session.begin() as session:
            session.add(row)

    def get(self, table: type[Row], key: str | int) -> Row | None:
        """The row of that primary key, if there is one."""
        with self._session() as session:
            return session.get(table, key)

    def samples(self) -> list[Sample]:
        """All samples in the order in which they came."""
        return list(self.each_sample(Wanted(order="oldest")))

    def each_sample(self, wanted: Wanted) -> Iterator[Sample]:
        """The samples that are asked for, some hundred at a time."""
        with self._session() as session:
            query = wanted.sort(wanted.narrow(select(Sample)))
            yield from session.scalars(query.execution_options(yield_per=CHUNK))

    def find_samples(self, wanted: Wanted, start: int, most: int) -> tuple[int, list[Sample]]:
        """(how many are asked for, `most` of them from `start` on)."""
        with self._session() as session:
            count = session.scalar(wanted.narrow(select(func.count()).select_from(Sample))) or 0
            query = wanted.sort(wanted.narrow(select(Sample))).offset(start).limit(most)
            return count, list(session.scalars(query))

    def save_sample(self, sample: Sample) -> None:
        """Insert a sample or write its changes, and bring the sums up to date."""
        sample.folded = sample.text.casefold()
        with self._session.begin() as session:
            old = session.get(Sample, sample.id)
            self._change_sums(session, (sample, 1), *([(old, -1)] if old is not None else []))
            session.merge(sample)

    def remove_sample(self, key: str) -> None:
        """Forget a sample."""
        with self._session.begin() as session:
            old = session.get(Sample, key)
            if old is not None:
                self._change_sums(session, (old, -1))
                session.delete(old)

    def _change_sums(self, session: Session, *samples: tuple[Sample, int]) -> None:
        """Add (1) or take off (-1) what samples count for."""
        changes: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for sample, sign in samples:
            for key, (total, part) in sums_of(sample).items():
                changes[key][0] += sign * total
                changes[key][1] += sign * part
        rows = [
            {"kind": kind, "name": name, "total": total, "part": part}
            for (kind, name), (total, part) in sorted(changes.items())  # in one order, so that none waits for another
            if total or part
        ]
        if not rows:
            return
        made = (postgresql if self.shared else sqlite).insert(Sum).values(rows)
        added = {"total": Sum.total + made.excluded.total, "part": Sum.part + made.excluded.part}
        session.execute(made.on_conflict_do_update(index_elements=["kind", "name"], set_=added))

    def sums(self) -> defaultdict[str, dict[str, tuple[int, int]]]:
        """(total, part) of each sum that is not empty, by kind and name, all of one moment."""
        sums: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        with self._session() as session:
            for row in session.scalars(select(Sum).where(Sum.total > 0).order_by(Sum.name)):
                sums[row.kind][row.name] = row.total, row.part
        return sums

    def count_samples(self) -> tuple[int, int, int]:
        """(checked samples, those held out, those that had been read otherwise)."""
        return count_checked(self.sums())

    def batches(self) -> list[dict[str, Any]]:
        """Every batch, the newest first: its name, its lines, how many are checked, how many others are doubtful."""
        doubtful = func.count().filter(~Sample.checked, ~func.coalesce(Sample.accept, sql("false")))
        query = (
            select(Sample.batch, func.count(), func.count().filter(Sample.checked), doubtful, func.max(Sample.created))
            .where(Sample.batch != "")
            .group_by(Sample.batch)
            .order_by(func.max(Sample.number).desc())
        )
        keys = ("name", "lines", "checked", "doubtful", "changed")
        with self._session() as session:
            return [dict(zip(keys, row, strict=True)) for row in session.execute(query)]

    def last_number(self) -> int:
        """Number of the last sample, 0 without one."""
        with self._session() as session:
            return session.scalar(select(func.max(Sample.number))) or 0

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

    def named_version(self) -> int | None:
        """The version that the command line named last when that was another one than before."""
        with self._session() as session:
            query = select(Promotion.version).where(Promotion.named).order_by(Promotion.id.desc())
            return session.scalar(query.limit(1))

    def rename(self, version: int, name: str) -> None:
        """Give a version another name."""
        with self._session.begin() as session:
            session.execute(update(Version).where(Version.id == version).values(name=name))

    def jobs(self, most: int = 20) -> list[Job]:
        """The last jobs, the newest first."""
        with self._session() as session:
            return list(session.scalars(select(Job).order_by(Job.id.desc()).limit(most)))

    def mark_interrupted(self) -> None:
        """Jobs that a process which is no more left as running become interrupted."""
        message = "the service was stopped; continue the job when you like"
        with self._session.begin() as session:
            left = update(Job).where(Job.state == RUNNING)
            session.execute(left.values(state=INTERRUPTED, message=message, wanted=""))

    def ask_to_stop(self, key: int, wanted: str) -> None:
        """Tell the process that works on a job to end it."""
        with self._session.begin() as session:
            session.execute(update(Job).where(Job.id == key, Job.state == RUNNING).values(wanted=wanted))

    def running_job(self) -> Job | None:
        """The job that is at work in any process, or is left from one that was killed."""
        with self._session() as session:
            return session.scalar(select(Job).where(Job.state == RUNNING).order_by(Job.id.desc()).limit(1))
