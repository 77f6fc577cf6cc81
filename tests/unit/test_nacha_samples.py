"""Files that real programs wrote: read as documented, or refused with a precise reason."""

import pytest

from cashier_nacha import FileRefused, Quirk, parse, write
from cashier_nacha.records import Change, DishonoredReturn, IatEntry, Return
from tests.architecture.repository import ROOT

SAMPLES = ROOT.parent / "shared/data/settlements/nacha"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the folder of sample files is not beside the checkout"
)
pytestmark = needs_samples


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def verdicts(name: str):
    return [entry.verdict for entry in parse(sample(name)).entries]


def test_each_sample_is_accounted_for():
    spoken_of = {*READ, *REFUSED}

    assert spoken_of == {path.name for path in SAMPLES.iterdir()}


READ = {
    "cor-read.ach": (1, 0, 0),
    "dishonored-return.ach": (2, 48_000, 0),
    "iat-addenda99.ach": (1, 0, 100_000),
    "issue1620_return.ach": (1, 0, 1),
    "ppd-credit.ach": (1, 0, 100_000_000),
    "ppd-debit.ach": (1, 200_000_000, 0),
    "return-WEB.ach": (2, 12_354, 4_565),
}
REFUSED = {
    "issue1620.ach": (5, (2, 7), "batch_count", "declared 2, found 1"),
    "return-no-batch-controls.ach": (
        1,
        (1, 1),
        "record_type",
        "a file header (1) must come first, found a record of type 5",
    ),
    "web-invalidNOCFile.ach": (4, (4, 6), "code", "the rules know no change code C92"),
}


@pytest.mark.parametrize("name", READ)
def test_a_sample_is_read_and_written_as_the_same_file(name):
    entries, debits, credits_ = READ[name]

    file = parse(sample(name))

    codes = {"26", "27", "36", "37"}
    taken = sum(entry.amount for entry in file.entries if entry.transaction_code in codes)
    assert (entries, debits) == (len(file.entries), taken)
    assert credits_ == sum(entry.amount for entry in file.entries) - taken
    assert file == parse(write(file))


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_sample_is_refused_with_its_place_and_reason(name):
    with pytest.raises(FileRefused) as refused:
        parse(sample(name))

    fault = refused.value
    assert REFUSED[name] == (fault.line, fault.columns, fault.field, fault.problem)


def test_a_return_says_why_and_of_which_entry():
    first, second = verdicts("return-WEB.ach")

    assert ("R01", "091400600000001", "091000017611242") == (
        first.code,
        first.original_trace,
        first.trace,
    )
    assert ("R03", "091400600000003") == (second.code, second.original_trace)


def test_a_notification_of_change_brings_what_is_right():
    [change] = verdicts("cor-read.ach")

    assert isinstance(change, Change)
    assert ("C01", "121042880000001", "1918171614") == (
        change.code,
        change.original_trace,
        change.corrected,
    )


def test_a_dishonored_return_names_entry_and_return():
    first, _ = verdicts("dishonored-return.ach")

    assert isinstance(first, DishonoredReturn)
    assert ("R68", "059999990000301", "123918710000001", "01", "Untimely Return") == (
        first.code,
        first.original_trace,
        first.return_trace,
        first.return_code,
        first.text,
    )


def test_a_return_of_an_international_entry_keeps_its_parties():
    [entry] = parse(sample("iat-addenda99.ach")).entries

    assert isinstance(entry, IatEntry)
    assert isinstance(entry.verdict, Return)
    assert ("R01", 100_000) == (entry.verdict.code, entry.verdict.original_amount)
    assert [str(kind) for kind in range(10, 17)] == [one.type_code for one in entry.addenda]


def test_a_return_finds_the_entry_that_went_out_before_it():
    """The forward file miscounts its batches and fills no block: quirks, if one lives with it."""
    forward = parse(sample("issue1620.ach"), tolerated={Quirk.BATCH_COUNT, Quirk.BLOCKING})
    returned = parse(sample("issue1620_return.ach"))

    [sent], [back] = forward.entries, returned.entries

    assert sent.trace == back.verdict.original_trace
    assert ("R03", sent.amount, sent.routing) == (back.verdict.code, back.amount, back.routing)
    assert [Quirk.BATCH_COUNT, Quirk.BLOCKING] == [fault.quirk for fault in forward.remarks]
