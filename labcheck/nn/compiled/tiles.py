"""A building block of matrix products whose sums stay in the registers of a processor.

If a product of matrices is written as loops, the compiler vectorizes the innermost one, which then loads and stores
each sum for every few terms, and checks before each of its short runs that matrices do not overlap. Here, the vector
instructions are written out, in the language of LLVM, so that 4 · 2 vectors of sums stay in registers for all their
terms.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numba import types  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numba.core import cgutils  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numba.extending import intrinsic  # type: ignore[import-untyped, import-not-found, unused-ignore]

unpack: Any = cgutils.unpack_tuple
allocate: Any = cgutils.alloca_once
VECTOR = 32
"""The number of bytes of a vector, that of AVX; where registers are smaller, each vector becomes several registers."""


def _add_tile(rows: int, vectors: int) -> Any:
    """Return an intrinsic function that computes y ← y + A x for a tile of y.

    Its arguments are A (m, n), x (n, B), y (m, B), and the first row and the first column of the tile, all of which
    must be within y.

    Args:
        rows: The number of rows of the tile.
        vectors: The number of vectors in each row.
    """

    @intrinsic
    def add_tile(typing: Any, a: Any, x: Any, y: Any, row: Any, column: Any) -> Any:
        lanes = VECTOR * 8 // y.dtype.bitwidth

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            real = context.get_value_type(signature.args[2].dtype)
            vector, size = ir.VectorType(real, lanes), context.get_abi_sizeof(real)
            contract = ("contract",)  # a product and a sum become one instruction where there is one

            def element(number: int, i: Any, j: Any, type_: Any) -> Any:
                """Return a pointer to element (i, j) of a, x or y."""
                array = context.make_array(signature.args[number])(context, builder, arguments[number])
                rows_, columns = unpack(builder, array.strides, 2)
                offset = builder.add(builder.mul(i, rows_), builder.mul(j, columns))
                start = builder.bitcast(array.data, ir.IntType(8).as_pointer())
                return builder.bitcast(builder.gep(start, [offset]), type_.as_pointer())

            def plus(start: Any, number: int) -> Any:
                return builder.add(start, ir.Constant(start.type, number))

            row, column = arguments[3:]
            places = [(r, v) for r in range(rows) for v in range(vectors)]
            targets = {(r, v): element(2, plus(row, r), plus(column, v * lanes), vector) for r, v in places}
            sums = {place: allocate(builder, vector) for place in places}
            for place in places:
                builder.store(builder.load(targets[place], align=size), sums[place])
            array = context.make_array(signature.args[1])(context, builder, arguments[1])
            terms = unpack(builder, array.shape, 2)[0]
            with cgutils.for_range(builder, terms) as loop:
                i = loop.index
                xs = [builder.load(element(1, i, plus(column, v * lanes), vector), align=size) for v in range(vectors)]
                for r in range(rows):
                    factor = builder.load(element(0, plus(row, r), i, real))
                    single = builder.insert_element(
                        ir.Constant(vector, ir.Undefined), factor, ir.Constant(ir.IntType(32), 0)
                    )
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
                    repeated = builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), mask)
                    for v in range(vectors):
                        term = builder.fmul(repeated, xs[v], flags=contract)
                        builder.store(builder.fadd(builder.load(sums[r, v]), term, flags=contract), sums[r, v])
            for place in places:
                builder.store(builder.load(sums[place]), targets[place], align=size)
            return context.get_dummy_value()

        return types.void(a, x, y, row, column), generate

    return add_tile


add_tile_4_2, add_tile_2_2, add_tile_4_1, add_tile_2_1 = (
    _add_tile(*shape) for shape in ((4, 2), (2, 2), (4, 1), (2, 1))
)
