/* What XLA calls for banded and sparse systems: LAPACK by its functions, SuperLU through Python. */

static int64_t length_of(const XLA_FFI_Buffer *buffer) { return buffer->dims[buffer->rank - 1]; }

static int64_t setting(const XLA_FFI_CallFrame *frame, int64_t place) {
    return *(int64_t *)((const XLA_FFI_Scalar *)frame->attrs.attrs[place])->value;
}

typedef void (*Factorize)(int *rows, int *columns, int *below, int *above, void *matrix,
                          int *leading, int *pivots, int *info);
typedef void (*Solve)(char *transposed, int *size, int *below, int *above, int *right_hand_sides,
                      void *matrix, int *leading, int *pivots, void *right, int *leading_right,
                      int *info);

/* LAPACK's gbtrf and gbtrs, in double and in single precision. */
static Factorize factorize[2];
static Solve solve[2];

void set_lapack(Factorize factorize64, Solve solve64, Factorize factorize32, Solve solve32) {
    factorize[0] = factorize64, solve[0] = solve64;
    factorize[1] = factorize32, solve[1] = solve32;
}

/* Factors of a banded matrix, and its pivots; the settings in the order of their names. Those of a
   singular one begin with NaN. */
XLA_FFI_Error *factorize_banded(XLA_FFI_CallFrame *frame) {
    if (!is_called(frame)) return NULL;
    const XLA_FFI_Buffer *matrix = frame->args.args[0];
    const XLA_FFI_Buffer *factors = frame->rets.rets[0], *pivots = frame->rets.rets[1];
    int above = setting(frame, 0), below = setting(frame, 1);
    int leading = 2 * below + above + 1, size = length_of(pivots), info;
    int64_t bytes = bytes_of(matrix->dtype);
    for (int64_t lane = 0, lanes = lanes_of(factors); lane < lanes; lane++) {
        char *own = vector_of(factors, factors, lane);
        memcpy(own, vector_of(matrix, factors, lane), length_of(matrix) * bytes);
        factorize[bytes == 4](&size, &size, &below, &above, own, &leading,
                              (int *)vector_of(pivots, factors, lane), &info);
        if (info > 0) memset(own, 0xff, bytes);
    }
    return NULL;
}

XLA_FFI_Error *solve_banded(XLA_FFI_CallFrame *frame) {
    if (!is_called(frame)) return NULL;
    XLA_FFI_Buffer **given = (XLA_FFI_Buffer **)frame->args.args;
    const XLA_FFI_Buffer *factors = given[0], *pivots = given[1], *right = given[2];
    const XLA_FFI_Buffer *found = frame->rets.rets[0];
    int above = setting(frame, 0), below = setting(frame, 1);
    char transposed = setting(frame, 2) ? 'T' : 'N';
    int leading = 2 * below + above + 1, size = length_of(found), one = 1, info;
    int64_t bytes = bytes_of(found->dtype);
    for (int64_t lane = 0, lanes = lanes_of(found); lane < lanes; lane++) {
        void *solution = vector_of(found, found, lane);
        memcpy(solution, vector_of(right, found, lane), size * bytes);
        solve[bytes == 4](&transposed, &size, &below, &above, &one, vector_of(factors, found, lane),
                          &leading, (int *)vector_of(pivots, found, lane), solution, &size, &info);
    }
    return NULL;
}

/* An array of a call, as Python reads it. */
typedef struct { void *data; const int64_t *dims; int64_t rank, bytes; } Array;

enum { MOST_ARRAYS = 8 };

static Array array_of(const XLA_FFI_Buffer *buffer) {
    return (Array){buffer->data, buffer->dims, buffer->rank, bytes_of(buffer->dtype)};
}

/* A function of Python: the number of what it is to do, and the arrays. */
typedef int64_t (*Host)(int64_t key, int64_t task, int64_t count, const Array *arrays);
static Host host;

void set_host(Host function) { host = function; }

XLA_FFI_Error *call_host(XLA_FFI_CallFrame *frame) {
    if (!is_called(frame)) return NULL;
    Array arrays[MOST_ARRAYS];
    int64_t count = 0;
    for (int64_t i = 0; i < frame->args.size; i++) arrays[count++] = array_of(frame->args.args[i]);
    for (int64_t i = 0; i < frame->rets.size; i++) arrays[count++] = array_of(frame->rets.rets[i]);
    if (host(setting(frame, 0), setting(frame, 1), count, arrays))
        return refused(frame, "a sparse system of adjointbench could not be solved");
    return NULL;
}
