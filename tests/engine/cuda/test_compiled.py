"""What kernels are compiled to: products of 32 bits in addresses, barriers between threads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from types import ModuleType

import needs
import pytest

ROOT = Path(__file__).parents[3]
KERNELS = ROOT / "fdi" / "engine" / "cuda" / "kernels"
SOURCE = """\
def kernel(x, B, N):
    first = program_id(0) * 128
    for b in range(first, B):
        if b > 0:
            load(x + b * N)
"""
NARROW = """\
#loc = loc("/a folder/kernel.py":1:0)
module {
  tt.func public @kernel(%x: !tt.ptr<f32> loc("x"(#loc)), %B: i32 loc(#loc), %N: i32 loc(#loc)) {
    %c1_i32 = arith.constant 1 : i32 loc(#loc1)
    %c128_i32 = arith.constant 128 : i32 loc(#loc1)
    %first = tt.get_program_id x : i32 loc(#loc1)
    %first_0 = arith.muli %first, %c128_i32 : i32 loc(#loc6)
    %wide = arith.extsi %N : i32 to i64 loc(#loc1)
    %d:2 = scf.for %b = %first_0 to %B step %c1_i32 iter_args(%a = %N, %c = %N) -> (i32, i32) {
      %0 = arith.cmpi sgt, %b, %c1_i32 : i32 loc(#loc3)
      %1 = scf.if %0 -> (i64) {
        %2 = arith.extsi %b : i32 to i64 loc(#loc7)
        scf.yield %2 : i64 loc(#loc3)
      } else {
        scf.yield %wide : i64 loc(#loc3)
      } loc(#loc3)
      %3 = arith.muli %1, %wide : i64 loc(#loc7)
      %4 = tt.addptr %x, %3 : !tt.ptr<f32>, i64 loc(#loc4)
      %5 = tt.load %4 : !tt.ptr<f32> loc(#loc4)
      scf.yield %a, %c : i32, i32 loc(#loc2)
    } loc(#loc2)
    tt.return loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc1 = loc(unknown)
#loc2 = loc("/a folder/kernel.py":3:5)
#loc3 = loc("/a folder/kernel.py":4:9)
#loc4 = loc("/a folder/kernel.py":5:13)
#loc5 = loc("/a folder/kernel.py":2:13)
#loc6 = loc("first"(#loc5))
#loc7 = loc(callsite(#loc4 at #loc2))
"""  # fmt: skip
"""In the form that Triton writes."""
HEAD = """\
.visible .entry forward(
	.param .u64 .ptr .global .align 1 forward_param_0,
	.param .u64 .ptr .global .align 1 forward_param_1
)
.reqntid 128
{
	ld.param.b64 	%rd1, [forward_param_0];
	ld.param.b64 	%rd2, [forward_param_1];
	mov.u32 	%r1, %tid.x;
	shl.b32 	%r2, %r1, 4;
	and.b32 	%r3, %r2, 2032;
	mov.b32 	%r4, global_smem;
	add.s32 	%r5, %r4, %r3;
	add.s32 	%r6, %r5, 2048;
	mad.wide.s32 	%rd3, %r1, 4, %rd1;
	mad.wide.s32 	%rd4, %r1, 4, %rd2;
"""
BAR = "bar.sync 	0;"


@pytest.fixture
def found(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import kernel_faults

    return kernel_faults


def test_a_product_of_32_bits_is_followed_through_a_loop_to_an_address(found):
    (told,) = found.narrow(NARROW, {"kernel.py": SOURCE})
    assert told == "a product of 32 bits reaches an address: first = program_id(0) * 128"
    (told,) = found.narrow(NARROW, {})  # a file that is nobody's
    assert told.endswith('kernel.py":2')


@pytest.mark.parametrize(
    ("wide", "narrow", "line"),
    [
        (
            "%2 = arith.extsi %b : i32 to i64",
            "%6 = arith.muli %b, %N : i32 loc(#loc4)\n        %2 = arith.extsi %6 : i32 to i64",
            "load(x + b * N)",
        ),
        ("%1, %wide : i64", "%1, %wide : i32", "load(x + b * N)"),
        ("%1, %wide : i64", "%1, %wide : tensor<128x1xi32>", "load(x + b * N)"),
        ("%3 =", "%6 = arith.trunci %1 : i64 to i32 loc(#loc3)\n%3 = arith.addi %6,", "if b > 0:"),
        ("%first_0 = arith.muli", "%first_0 = arith.shli", "first = program_id(0) * 128"),
    ],
)  # fmt: skip
def test_products_and_numbers_cut_short_are_found_in_each_form(found, wide, narrow, line):
    told = list(found.narrow(NARROW.replace(wide, narrow), {"kernel.py": SOURCE}))
    assert any(each.endswith(f" of 32 bits reaches an address: {line}") for each in told)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("%first_0 to %B", "%first to %B"),  # the product goes nowhere
        ("arith.muli %first, %c128_i32 : i32", "arith.muli %first, %c128_i32 : i64"),
        ("arith.extsi %b :", "arith.extsi %N :"),  # the address does not depend on the loop
        ("%2 = arith.extsi %b :", "%6 = tt.load %b :"),  # what an index leads to is no product
    ],
)
def test_no_other_product_is(found, before, after):
    assert before in NARROW
    assert not [*found.narrow(NARROW.replace(before, after), {"kernel.py": SOURCE})]


def test_what_is_allowed_stands_in_the_kernels(found):
    lines = {
        line.strip() for file in KERNELS.glob("s*.py") for line in file.read_text().split("\n")
    }
    assert found.ALLOWED.keys() <= lines


def ptx(body: str) -> str:
    """A kernel with `body`, whose lines are numbered from 1 on."""
    lines = (line.split("#")[0].strip() for line in body.strip().splitlines())
    numbered = "\n".join(f".loc\t1 {i} 5 // {i}\n{line}" for i, line in enumerate(lines, 1))
    return f"{HEAD}{indent(numbered, chr(9))}\n\tret;\n}}\n"


ROWS = """
$L__BB0_1:
{first}
ld.global.b32 	%r7, [ %rd3 + 0 ];
@%p1 bra 	$L__BB0_2;
{there}
$L__BB0_2:
st.global.v2.b32 	[ %rd3 + 0 ], {{ %r7, %r7 }};
{last}
@%p2 bra 	$L__BB0_1;
"""


@pytest.mark.parametrize(("place", "safe"), [("first", True), ("last", True), ("there", False)])
def test_a_row_that_all_threads_read_needs_a_barrier_on_every_way(found, place, safe):
    bars = dict.fromkeys(("first", "there", "last"), "add.s32 	%r8, %r8, 1;") | {place: BAR}
    told = list(found.unordered(ptx(ROWS.format(**bars)), ["d_x", "u"]))
    assert (
        told == [] if safe else ["no barrier between a store (line 7) and a load (line 3) of d_x"]
    )
    bars[place] = f"@%p3 {BAR}"  # not of all threads
    assert list(found.unordered(ptx(ROWS.format(**bars)), ["d_x", "u"]))


def test_of_spikes_the_row_before_the_last_that_was_stored_is_read(found):
    step = "st.global.b8 	[ %rd3 + 0 ], { %rs1 };\nld.global.b8 	{ %rs2 }, [ %rd3 + 0 ];\n"
    assert not [*found.unordered(ptx(step), ["s", "x"])]
    assert [*found.unordered(ptx(step), ["u", "x"])]
    assert not [*found.unordered(ptx(f"{step}{BAR}\n{step}"), ["s", "x"])]
    (told,) = found.unordered(ptx(f"{step}{step}"), ["s", "x"])
    assert told == "no barrier between a store (line 1) and a load (line 4) of s"


WIDE, STORED = (
    "st.shared.v4.b32 [%r5], {%r7, %r7, %r7, %r7};",
    "a store (line 1) and a load (line 3)",
)
MATRIX = "matrix.sync.aligned.m8n8.x1.shared.b16"


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        (WIDE, "ld.shared.b32 %r8, [global_smem+2044];", STORED),
        (WIDE, "ld.shared.b32 %r8, [global_smem+2048];", ""),
        (WIDE, "ld.shared.b32 %r8, [%r6];", ""),
        (WIDE, "ld.shared.b32 %r8, [%r6+-2048];", STORED),
        (f"st{MATRIX} [%r5], {{%r7}};", f"ld{MATRIX} {{%r8}}, [%r5];", STORED),
        ("st.shared.b32 [%r5], %r7;", "ld.shared.b32 %r8, [%r5];", ""),  # a thread its own
        (
            "ld.shared.b32 %r8, [global_smem];",
            "st.shared.b32 [%r5], %r7;",
            "a load (line 1) and a store (line 3)",
        ),
    ],
)
def test_shared_memory_of_other_threads_needs_a_barrier(found, first, then, told):
    expected = [f"no barrier between {told} of shared memory"] if told else []
    between = {
        "add.s32 	%r9, %r9, 1;": expected,
        "bar.warp.sync 	-1;": expected,  # of 32 threads
        BAR: [],
    }
    for line, wanted in between.items():
        assert [*found.unordered(ptx(f"{first}\n{line}\n{then}"), ["s", "x"])] == wanted
    warp = ptx(f"{first}\nbar.warp.sync 	-1;\n{then}").replace("reqntid 128", "reqntid 32")
    assert not [*found.unordered(warp, ["s", "x"])]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "atom.global.add.f32 	%r7, [ %rd3 + 0 ], %r8;",
            r"atom\.global\.add\.f32 neither loads nor",
        ),
        ("ld.global.b32 	%r7, [ %rd9 + 0 ];", "is an address of no argument"),
    ],
)
def test_what_it_does_not_know_is_no_silence(found, line, told):
    with pytest.raises(ValueError, match=told):
        list(found.unordered(ptx(line), ["s", "x"]))


NO_PRODUCT = {
    "end = tl.load(own + 1, mask=inside, other=0)": "compared with a number of 64 bits",
    "further = 1": "added to one",
}
"""Casts that could be left out, and what becomes of the number."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs.kernels
def test_a_barrier_or_a_cast_that_is_taken_out_of_a_kernel_is_found():
    script = str(Path(__file__).parent / "unseen.py")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    told = {
        (before, after): found
        for _, before, after, found in map(json.loads, ended.stdout.splitlines())
    }
    barriers = [found for (before, _), found in told.items() if "debug_barrier" in before]
    assert len(barriers) == 2
    assert all("no barrier between a store" in found[0] for found in barriers)
    assert len(told) > 12
    assert {after for (_, after), found in told.items() if not found} == NO_PRODUCT.keys()
