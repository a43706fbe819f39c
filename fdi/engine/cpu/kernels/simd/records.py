"""The constants of neurons as vectors."""

from __future__ import annotations

from itertools import count

from llvmlite import ir
from numba import types

from fdi.engine.cpu.kernels.simd.vector import (
    NamedTuple,
    Vector,
    everywhere,
    intrinsic,
    pointer_to,
)


@intrinsic(prefer_literal=True)
def constants(typing_context, names, records, row):
    """`names`, a nested named tuple, with the vector that holds the field of that name of
    records[row] everywhere in place of each number.
    """

    def filled(kind):
        if isinstance(kind, NamedTuple):
            parts = [filled(part) for part in kind.types]
            return types.BaseTuple.from_types(parts, kind.instance_class)
        return Vector(kind)

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
            return everywhere(context, builder, Vector(kind), builder.load(pointer))

        return field("", names)

    return filled(names)(names, records, types.intp), codegen


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
