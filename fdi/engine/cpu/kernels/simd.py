"""Vectors of 64 bytes as values in Numba code: load, store, fill, select, absolute, exp and the
operators + - * / > == & | ~.

LLVM vectorizes loops over several rows only behind checks that the rows do not overlap, and keeps
no tile of sums in registers; with explicit vectors it need not guess. On machines with shorter
registers LLVM splits each vector.

A product and a following sum may be fused.
"""

from __future__ import annotations

import math
import operator
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import llvmlite.binding
from llvmlite import ir
from numba import config, extending, types
from numba.core import cgutils, typing
from numba.core.codegen import get_host_cpu_features
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import lower_builtin, models, register_model

# what numba's stubs say otherwise: callers give no typing context; named tuples know their fields
intrinsic: Any = extending.intrinsic
NamedTuple: Any = types.BaseNamedTuple
BYTES = 64
REGISTERS = 32 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 16
"""Of 64 bytes in an AVX-512 processor, of 32 bytes in another."""
_CHOSEN = vars(config).get("CPU_FEATURES")
_FEATURES = get_host_cpu_features() if _CHOSEN is None else _CHOSEN
_COMPRESSES = "+avx512vbmi2" in _FEATURES.split(",")
"""Whether there is an instruction that moves bytes together."""
_FLAGS = ("contract",)


class Vector(types.Type):
    """As many numbers of `dtype` as fill 64 bytes, or `count` times as many."""

    if TYPE_CHECKING:  # what `_operator` teaches Numba
        __add__: Any
        __sub__: Any
        __mul__: Any
        __rmul__: Any
        __gt__: Any

    def __init__(self, dtype: types.Float, count: int = 1) -> None:
        self.dtype, self.lanes = dtype, count * BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


class Mask(types.Type):
    """A truth value for each of `lanes` numbers."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind: Vector) -> None:
        real = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(real, kind.lanes))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, kind: Mask) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), kind.lanes))


def _operator(symbol, operands, build, result=None) -> None:
    """Teach Numba `symbol` between vectors, or between masks."""

    class Template(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) <= 2 and all(isinstance(a, operands) and a == args[0] for a in args):
                return typing.signature(result(args[0]) if result else args[0], *args)
            return None

    infer_global(symbol)(Template)

    def lower(context, builder, signature, args):
        return build(builder, *args)

    lower_builtin(symbol, *[operands] * (build.__code__.co_argcount - 1))(lower)


def _mask(vector: Vector) -> Mask:
    return Mask(vector.lanes)


_operator(operator.add, Vector, lambda builder, a, b: builder.fadd(a, b, flags=_FLAGS))
_operator(operator.sub, Vector, lambda builder, a, b: builder.fsub(a, b, flags=_FLAGS))
_operator(operator.mul, Vector, lambda builder, a, b: builder.fmul(a, b, flags=_FLAGS))
_operator(operator.truediv, Vector, lambda builder, a, b: builder.fdiv(a, b))
_operator(operator.gt, Vector, lambda builder, a, b: builder.fcmp_ordered(">", a, b), _mask)
_operator(operator.eq, Vector, lambda builder, a, b: builder.fcmp_ordered("==", a, b), _mask)
_operator(operator.and_, Mask, lambda builder, a, b: builder.and_(a, b))
_operator(operator.or_, Mask, lambda builder, a, b: builder.or_(a, b))
_operator(operator.invert, Mask, lambda builder, a: builder.not_(a))


def pointer_to(context, builder, array_type, array, indices, pointee):
    """Address of array[indices] as a pointer to `pointee`; indices are not checked, the last axis
    must be contiguous.
    """
    view = context.make_array(array_type)(context, builder, array)
    offset = builder.mul(
        indices[-1], context.get_constant(types.intp, array_type.dtype.bitwidth // 8)
    )
    for axis, index in enumerate(indices[:-1]):
        offset = builder.add(offset, builder.mul(index, builder.extract_value(view.strides, axis)))
    start = builder.gep(builder.bitcast(view.data, ir.IntType(8).as_pointer()), [offset])
    return builder.bitcast(start, pointee.as_pointer())


def everywhere(context, builder, kind, number):
    undefined = ir.Constant(context.get_value_type(kind), ir.Undefined)
    first = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), kind.lanes), [0] * kind.lanes)
    )


def call_llvm(context, builder, name, kind, args):
    """A function of LLVM, of vectors of one kind."""
    vector = context.get_value_type(kind)
    name = f"llvm.{name}.v{kind.lanes}f{kind.dtype.bitwidth}"
    function = ir.FunctionType(vector, [vector] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), args)


def load_at(context, builder, array_type, array, indices, kind):
    """The code that loads a vector from array[indices]."""
    vector = context.get_value_type(kind)
    value = builder.load(pointer_to(context, builder, array_type, array, indices, vector))
    value.align = array_type.dtype.bitwidth // 8
    return value


def store_at(context, builder, array_type, array, indices, value):
    """The code that stores a vector at array[indices]."""
    pointer = pointer_to(context, builder, array_type, array, indices, value.type)
    builder.store(value, pointer).align = array_type.dtype.bitwidth // 8


@intrinsic
def fill(typing_context, number):
    """The vector that holds `number` everywhere."""
    kind = Vector(number)

    def codegen(context, builder, signature, args):
        return everywhere(context, builder, kind, args[0])

    return kind(number), codegen


@intrinsic
def fill_as(typing_context, vector, number):
    """`number` as many times as `vector` has numbers."""

    def codegen(context, builder, signature, args):
        return everywhere(context, builder, vector, args[1])

    return vector(vector, vector.dtype), codegen


@intrinsic(prefer_literal=True)
def fill_many(typing_context, number, count):
    """The same for a literal number of vectors, as one."""
    kind = Vector(number, count.literal_value)

    def codegen(context, builder, signature, args):
        return everywhere(context, builder, kind, args[0])

    return kind(number, count), codegen


@intrinsic(prefer_literal=True)
def like(typing_context, a, number):
    """The vector of the kind of `a` that holds a literal number everywhere."""
    if not isinstance(number, types.Literal):
        return None
    value = float(number.literal_value)

    def codegen(context, builder, signature, args):
        return ir.Constant(context.get_value_type(a), [value] * a.lanes)

    return a(a, number), codegen


@intrinsic
def select(typing_context, mask, a, b):
    """a where the mask is true, else b."""

    def codegen(context, builder, signature, args):
        return builder.select(*args)

    return a(mask, a, b), codegen


@intrinsic
def times(typing_context, a, b):
    """a b, rounded even where a sum follows."""

    def codegen(context, builder, signature, args):
        return builder.fmul(*args)

    return a(a, b), codegen


@intrinsic
def fused(typing_context, a, b, c):
    """a b + c, rounded once."""

    def codegen(context, builder, signature, args):
        return call_llvm(context, builder, "fma", a, args)

    return a(a, b, c), codegen


@intrinsic
def bits(typing_context, mask):
    """The mask as a number, its first lane in the lowest bit."""

    def codegen(context, builder, signature, args):
        word = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.zext(word, ir.IntType(64))

    return types.uint64(mask), codegen


@intrinsic
def store_bits(typing_context, array, row, first, mask):
    """The bits from `first` on, a multiple of 8, of what begins at array[row], int64, become the
    mask.
    """

    def codegen(context, builder, signature, args):
        word = builder.bitcast(args[3], ir.IntType(mask.lanes))
        at = _byte(context, builder, array, *args[:3])
        builder.store(word, builder.bitcast(at, word.type.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, mask), codegen


@intrinsic
def load_bits(typing_context, array, row, first):
    """32 bits of the same as a number."""

    def codegen(context, builder, signature, args):
        number = ir.IntType(32)
        at = _byte(context, builder, array, *args)
        value = builder.load(builder.bitcast(at, number.as_pointer()))
        value.align = 1
        return builder.zext(value, ir.IntType(64))

    return types.int64(array, types.intp, types.intp), codegen


def _byte(context, builder, array_type, array, row, first):
    """Where the bit `first` of what begins at array[row] lies."""
    start = pointer_to(context, builder, array_type, array, [row], ir.IntType(8))
    return builder.gep(start, [builder.lshr(first, first.type(3))])


@intrinsic
def leading(typing_context, mask, count):
    """What is true among the first `count` lanes of the mask; a negative count is none."""

    def codegen(context, builder, signature, args):
        number, lanes = ir.IntType(64), range(mask.lanes)
        kind = ir.VectorType(number, mask.lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        counts = builder.insert_element(undefined, args[1], ir.IntType(32)(0))
        first = ir.Constant(ir.VectorType(ir.IntType(32), mask.lanes), [0] * mask.lanes)
        counts = builder.shuffle_vector(counts, undefined, first)
        within = builder.icmp_signed("<", ir.Constant(kind, list(lanes)), counts)
        return builder.and_(args[0], within)

    return mask(mask, types.int64), codegen


@intrinsic
def if_before(typing_context, a, index, stop):
    """The vector `a` if index < stop, else -0, which adds nothing to any number; no branch that the
    processor would guess.
    """

    def codegen(context, builder, signature, args):
        before = builder.ashr(builder.sub(args[1], args[2]), ir.IntType(64)(63))
        word = builder.trunc(before, ir.IntType(a.lanes))
        mask = builder.bitcast(word, ir.VectorType(ir.IntType(1), a.lanes))
        nothing = ir.Constant(context.get_value_type(a), [-0.0] * a.lanes)
        return builder.select(mask, args[0], nothing)

    return a(a, types.int64, types.int64), codegen


@intrinsic
def absolute(typing_context, a):
    """|a|."""

    def codegen(context, builder, signature, args):
        return call_llvm(context, builder, "fabs", a, args)

    return a(a), codegen


@intrinsic
def square_root(typing_context, a):
    """The square root of a."""

    def codegen(context, builder, signature, args):
        return call_llvm(context, builder, "sqrt", a, args)

    return a(a), codegen


_PARTS = 32  # of a factor of 2, for which `exp` has a table
_POWERS = [float(Decimal(2) ** (Decimal(i) / _PARTS)) for i in range(_PARTS)]
_CUBE = float.fromhex("0x1.c6af84b912394p-5") / _PARTS**3
_SQUARE = float.fromhex("0x1.ebfce50fac4f3p-3") / _PARTS**2
_LINE = float.fromhex("0x1.62e42ff0c52d6p-1") / _PARTS
"""2^(r / 32) - 1 for |r| <= 1 / 2 is nearly a polynomial of these [glibc, e_exp2f_data.c]."""
_HIGHEST, _LOWEST = (float.fromhex(end) for end in ("0x1.62e42ep6", "-0x1.9fe368p6"))
"""Beyond these e^x is infinite or 0 in float32."""
_ROUNDS = 1.5 * 2.0**52  # added to a number, leaves its nearest whole number in the lowest bits


@intrinsic
def exp(typing_context, a):
    """e^a. In float32 as 2^(k / 32) 2^(r / 32), by a table and a polynomial in float64: the bits of
    GNU's C library, which computes one number at a time.
    """

    def one_by_one(context, builder, signature, args):
        number = context.get_value_type(a.dtype)
        scalar = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(number, [number]), "llvm.exp.f64"
        )
        result = args[0]
        for lane in range(a.lanes):
            place = ir.IntType(32)(lane)
            x = builder.call(scalar, [builder.extract_element(args[0], place)])
            result = builder.insert_element(result, x, place)
        return result

    def together(context, builder, signature, args):
        wide, number = Vector(types.float64, a.lanes // 8), ir.IntType(64)
        double, whole = context.get_value_type(wide), ir.VectorType(number, a.lanes)

        def all_of(kind, value):
            return ir.Constant(kind, [value] * a.lanes)

        def fma(x, y, z):
            return call_llvm(context, builder, "fma", wide, (x, y, z))

        x, factor = builder.fpext(args[0], double), all_of(double, _PARTS / math.log(2))
        rounded = fma(x, factor, all_of(double, _ROUNDS))
        r = fma(x, factor, builder.fsub(all_of(double, _ROUNDS), rounded))
        k = builder.bitcast(rounded, whole)
        part = builder.and_(k, all_of(whole, _PARTS - 1))
        powers = ir.Constant(ir.ArrayType(ir.DoubleType(), _PARTS), _POWERS)
        table = cgutils.global_constant(builder, "powers_of_2", powers)
        power = ir.Constant(double, ir.Undefined)
        for lane in map(ir.IntType(32), range(a.lanes)):
            at = builder.gep(table, [number(0), builder.extract_element(part, lane)])
            power = builder.insert_element(power, builder.load(at), lane)
        # k is 32 times the exponent, which begins at bit 52, and the part
        exponent = builder.shl(builder.sub(k, part), all_of(whole, 52 - 5))
        power = builder.bitcast(builder.add(builder.bitcast(power, whole), exponent), double)
        above = fma(all_of(double, _CUBE), r, all_of(double, _SQUARE))
        below = fma(all_of(double, _LINE), r, all_of(double, 1.0))
        found = builder.fmul(fma(above, builder.fmul(r, r), below), power)
        result = builder.fptrunc(found, args[0].type)
        for order, end, value in ((">", _HIGHEST, math.inf), ("<", _LOWEST, 0.0)):
            beyond = builder.fcmp_ordered(order, args[0], all_of(args[0].type, end))
            result = builder.select(beyond, all_of(args[0].type, value), result)
        return result

    return a(a), together if a.dtype == types.float32 else one_by_one


def _load(array, indices, kind):
    """What an intrinsic of `array` and the tuple `indices` returns that loads such a vector."""

    def codegen(context, builder, signature, args):
        places = cgutils.unpack_tuple(builder, args[1])
        return load_at(context, builder, array, args[0], places, kind)

    return types.UniTuple(types.intp, len(indices)), codegen


@intrinsic
def lanes(typing_context, array):
    """How many numbers of an array are a vector: known when a kernel is compiled, as the array's
    itemsize is not.
    """
    count = Vector(array.dtype).lanes

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, count)

    return types.intp(array), codegen


@intrinsic
def load(typing_context, array, indices):
    """The vector that starts at array[indices]; `indices` is a tuple."""
    kind = Vector(array.dtype)
    places, codegen = _load(array, indices, kind)
    return kind(array, places), codegen


@intrinsic(prefer_literal=True)
def load_many(typing_context, array, indices, count):
    """A literal number of vectors from array[indices] on, as one."""
    kind = Vector(array.dtype, count.literal_value)
    places, codegen = _load(array, indices, kind)
    return kind(array, places, count), codegen


@intrinsic
def load_as(typing_context, vector, array, indices):
    """As many numbers from array[indices] on as `vector` has."""
    places, codegen = _load(array, indices, vector)

    def loaded(context, builder, signature, args):
        return codegen(context, builder, signature, args[1:])

    return vector(vector, array, places), loaded


@intrinsic
def load_each(typing_context, vectors, array, at, pace):
    """A tuple of vectors like `vectors` from array[at], array[at + pace] ..."""

    def codegen(context, builder, signature, args):
        place, found = args[2], []
        for kind in vectors:
            found.append(load_at(context, builder, array, args[1], [place], kind))
            place = builder.add(place, args[3])
        return context.make_tuple(builder, vectors, found)

    return vectors(vectors, array, types.intp, types.intp), codegen


@intrinsic
def store_each(typing_context, array, at, pace, vectors):
    """array[at ...], array[at + pace ...] ... = vectors, a tuple."""

    def codegen(context, builder, signature, args):
        place = args[1]
        for vector in cgutils.unpack_tuple(builder, args[3], len(vectors)):
            store_at(context, builder, array, args[0], [place], vector)
            place = builder.add(place, args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vectors), codegen


@intrinsic
def store(typing_context, array, indices, vector):
    """array[indices ...] = vector."""

    def codegen(context, builder, signature, args):
        places = cgutils.unpack_tuple(builder, args[1])
        store_at(context, builder, array, args[0], places, args[2])
        return context.get_dummy_value()

    return types.void(array, types.UniTuple(types.intp, len(indices)), vector), codegen


@intrinsic
def prefetch(typing_context, array, indices):
    """Have the vector at array[indices] brought near, to be read or written soon."""

    def codegen(context, builder, signature, args):
        places = cgutils.unpack_tuple(builder, args[1])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        at = pointer_to(context, builder, array, args[0], places, ir.IntType(8))
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(call, [at, number(0), number(2), number(1)])

    return types.void(array, types.UniTuple(types.intp, len(indices))), codegen


@intrinsic(prefer_literal=True)
def repeated(typing_context, vector, count):
    """A tuple of a literal number of times the same vector."""
    kind = types.UniTuple(vector, count.literal_value)

    def codegen(context, builder, signature, args):
        return context.make_tuple(builder, kind, [args[0]] * len(kind))

    return kind(vector, count), codegen


@intrinsic
def add_multiples(typing_context, sums, array, at, pace, vector):
    """The tuple `sums` with array[at], array[at + pace] ... times the vector added to each."""

    def codegen(context, builder, signature, args):
        place, found = args[2], []
        number = context.get_value_type(array.dtype)
        for x in cgutils.unpack_tuple(builder, args[0], len(sums)):
            factor = builder.load(pointer_to(context, builder, array, args[1], [place], number))
            many = everywhere(context, builder, vector, factor)
            product = builder.fmul(many, args[4], flags=_FLAGS)
            found.append(builder.fadd(x, product, flags=_FLAGS))
            place = builder.add(place, args[3])
        return context.make_tuple(builder, sums, found)

    return sums(sums, array, types.intp, types.intp, vector), codegen


@intrinsic
def entry(typing_context, array, index):
    """array[index], which is not negative, so that nobody need look."""

    def codegen(context, builder, signature, args):
        number = context.get_value_type(array.dtype)
        return builder.load(pointer_to(context, builder, array, args[0], [args[1]], number))

    return array.dtype(array, types.intp), codegen


_EIGHT = bytes(i for byte in range(256) for i in sorted(range(8), key=lambda j: not byte >> j & 1))
"""For each byte the numbers of its bits that are 1, then of the others."""


@intrinsic
def store_true(typing_context, array, index, first, mask):
    """array[index ...] = first + lane for each lane where the mask, or one of the lowest 32 bits of
    a number, is true, one after another; the next 16 numbers behind them are lost. Returns how many
    they are.
    """
    lanes = mask.lanes if isinstance(mask, Mask) else 32

    def compressed(context, builder, signature, args):
        byte, number, wide = ir.IntType(8), ir.IntType(32), ir.IntType(64)
        some, sixteen = min(lanes, 32), ir.VectorType(number, 16)
        many, chosen = ir.VectorType(byte, some), ir.VectorType(ir.IntType(1), some)
        name = f"llvm.x86.avx512.mask.compress.v{some}i8"
        kind = ir.FunctionType(many, [many, many, chosen])
        compress = cgutils.get_or_insert_function(builder.module, kind, name)
        start = builder.insert_element(
            ir.Constant(sixteen, ir.Undefined), builder.trunc(args[2], number), number(0)
        )
        start = builder.shuffle_vector(start, start, ir.Constant(sixteen, [0] * 16))
        word = args[3] if mask is types.int64 else builder.bitcast(args[3], ir.IntType(lanes))
        n = args[1]

        def put(places, first):
            part = ir.Constant(sixteen, [*range(first, first + 16)])
            units = builder.zext(builder.shuffle_vector(places, places, part), sixteen)
            at = pointer_to(
                context, builder, array, args[0], [builder.add(n, wide(first))], sixteen
            )
            builder.store(builder.add(start, units), at).align = 4

        for lane in range(0, lanes, some):
            part = builder.trunc(builder.lshr(word, word.type(lane)), ir.IntType(some))
            numbers = ir.Constant(many, [*range(lane, lane + some)])
            is_true = builder.bitcast(part, chosen)
            places = builder.call(compress, [numbers, ir.Constant(many, None), is_true])
            put(places, 0)
            found = builder.zext(builder.ctpop(part), wide)
            if some > 16:
                with builder.if_then(builder.icmp_unsigned(">", found, wide(16)), likely=False):
                    put(places, 16)
            n = builder.add(n, found)
        return builder.sub(n, args[1])

    def codegen(context, builder, signature, args):
        byte, number, wide = ir.IntType(8), ir.IntType(32), ir.IntType(64)
        eight = ir.VectorType(number, 8)
        table = cgutils.global_constant(
            builder, "numbers_of_bits", ir.Constant(ir.ArrayType(byte, 2048), bytearray(_EIGHT))
        )
        start, n = builder.trunc(args[2], number), args[1]
        word = args[3] if mask is types.int64 else builder.bitcast(args[3], ir.IntType(lanes))
        for lane in range(0, lanes, 8):
            part = builder.trunc(builder.lshr(word, word.type(lane)), byte)
            row = builder.gep(
                builder.bitcast(table, byte.as_pointer()),
                [builder.shl(builder.zext(part, wide), wide(3))],
            )
            row = builder.load(builder.bitcast(row, ir.VectorType(byte, 8).as_pointer()))
            row.align = 1
            places = builder.zext(row, eight)
            at = builder.insert_element(
                ir.Constant(eight, ir.Undefined), builder.add(start, number(lane)), number(0)
            )
            at = builder.shuffle_vector(
                at, ir.Constant(eight, ir.Undefined), ir.Constant(eight, [0] * 8)
            )
            pointer = pointer_to(context, builder, array, args[0], [n], eight)
            builder.store(builder.add(places, at), pointer).align = 4
            n = builder.add(n, builder.zext(builder.ctpop(part), wide))
        return builder.sub(n, args[1])

    generate = compressed if _COMPRESSES and lanes % 16 == 0 else codegen
    return types.int64(array, types.intp, types.int64, mask), generate


@intrinsic(prefer_literal=True)
def constants(typing_context, names, records, row, count):
    """`names`, a nested named tuple, with the vector that holds the field of that name of
    records[row] everywhere in place of each number; as long as a literal number of them.
    """

    def filled(kind):
        if isinstance(kind, NamedTuple):
            parts = [filled(part) for part in kind.types]
            return types.BaseTuple.from_types(parts, kind.instance_class)
        return Vector(kind, count.literal_value)

    def codegen(context, builder, signature, args):
        view = context.make_array(records)(context, builder, args[1])
        offset = builder.mul(args[2], builder.extract_value(view.strides, 0))
        start = builder.gep(builder.bitcast(view.data, ir.IntType(8).as_pointer()), [offset])

        def field(name, kind):
            if isinstance(kind, NamedTuple):
                parts = [field(*part) for part in zip(kind.fields, kind.types)]
                return context.make_tuple(builder, filled(kind), parts)
            place = builder.gep(start, [ir.IntType(64)(records.dtype.offset(name))])
            pointer = builder.bitcast(place, context.get_value_type(kind).as_pointer())
            return everywhere(context, builder, filled(kind), builder.load(pointer))

        return field("", names)

    return filled(names)(names, records, types.intp, count), codegen


@intrinsic
def own(typing_context, neuron, neurons, place):
    """`neuron`, a nested named tuple of vectors, with neurons.own[k, place ...] in place of its
    k-th vector; as it is where the named tuple `neurons` has no such field.
    """

    def codegen(context, builder, signature, args):
        if "own" not in neurons.fields:
            return args[0]
        numbers, field = count(), neurons.fields.index("own")
        array, rows = neurons.types[field], builder.extract_value(args[1], field)

        def loaded(kind):
            if isinstance(kind, NamedTuple):
                return context.make_tuple(builder, kind, [loaded(part) for part in kind.types])
            at = [context.get_constant(types.intp, next(numbers)), args[2]]
            vector = context.get_value_type(kind)
            value = builder.load(pointer_to(context, builder, array, rows, at, vector))
            value.align = array.dtype.bitwidth // 8
            return value

        return loaded(neuron)

    return neuron(neuron, neurons, types.intp), codegen
