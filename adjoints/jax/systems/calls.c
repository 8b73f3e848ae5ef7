/* What XLA calls for banded and sparse systems: LAPACK by its functions, SuperLU through Python.

   The last axis of each array is a vector; those before it are lanes, or of size one where all lanes
   read the same. */

#include <stdint.h>
#include <string.h>

#include "xla/ffi/api/c_api.h"

enum { MOST_ARRAYS = 8 };

/* An array of a call. */
typedef struct { char *data; const int64_t *dims; int64_t rank, bytes; } Array;

static XLA_FFI_Error *refused(const XLA_FFI_CallFrame *frame, const char *message) {
    XLA_FFI_Error_Create_Args args = {
        .struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
        .message = message, .errc = XLA_FFI_Error_Code_INTERNAL,
    };
    return frame->api->XLA_FFI_Error_Create(&args);
}

/* Whether this is no more than a question about the version of the interface. */
static int is_question(XLA_FFI_CallFrame *frame) {
    XLA_FFI_Extension_Base *extension = frame->extension_start;
    if (!extension || extension->type != XLA_FFI_Extension_Metadata) return 0;
    XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)extension)->metadata;
    metadata->api_version.major_version = XLA_FFI_API_MAJOR;
    metadata->api_version.minor_version = XLA_FFI_API_MINOR;
    return 1;
}

static int64_t bytes_of(XLA_FFI_DataType type) {
    return type == XLA_FFI_DataType_F64 ? 8 : 4;
}

static Array array_of(const void *given) {
    const XLA_FFI_Buffer *buffer = given;
    return (Array){buffer->data, buffer->dims, buffer->rank, bytes_of(buffer->dtype)};
}

static int64_t length_of(Array array) { return array.dims[array.rank - 1]; }

static int64_t lanes_of(Array array) {
    int64_t lanes = 1;
    for (int64_t axis = 0; axis < array.rank - 1; axis++) lanes *= array.dims[axis];
    return lanes;
}

/* Where the vector of a lane begins; `all` is an array with every lane. */
static void *vector(Array array, Array all, int64_t lane) {
    int64_t offset = 0, stride = 1;
    for (int64_t axis = array.rank - 2; axis >= 0; axis--) {
        int64_t at = lane % all.dims[axis];
        lane /= all.dims[axis];
        if (array.dims[axis] > 1) offset += at * stride;
        stride *= array.dims[axis];
    }
    return array.data + offset * length_of(array) * array.bytes;
}

/* All arrays, those that are read before those that are written; how many there are. */
static int64_t arrays_of(XLA_FFI_CallFrame *frame, Array *arrays) {
    int64_t count = 0;
    for (int64_t i = 0; i < frame->args.size; i++) arrays[count++] = array_of(frame->args.args[i]);
    for (int64_t i = 0; i < frame->rets.size; i++) arrays[count++] = array_of(frame->rets.rets[i]);
    return count;
}

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
    Array arrays[MOST_ARRAYS];
    if (is_question(frame) || frame->stage != XLA_FFI_ExecutionStage_EXECUTE) return NULL;
    arrays_of(frame, arrays);
    int above = setting(frame, 0), below = setting(frame, 1);
    int leading = 2 * below + above + 1, size = length_of(arrays[2]);
    for (int64_t lane = 0, lanes = lanes_of(arrays[1]); lane < lanes; lane++) {
        char *factors = vector(arrays[1], arrays[1], lane);
        int *pivots = vector(arrays[2], arrays[1], lane), info;
        memcpy(factors, vector(arrays[0], arrays[1], lane), length_of(arrays[0]) * arrays[0].bytes);
        factorize[arrays[0].bytes == 4](&size, &size, &below, &above, factors, &leading, pivots,
                                        &info);
        if (info > 0) memset(factors, 0xff, arrays[0].bytes);
    }
    return NULL;
}

XLA_FFI_Error *solve_banded(XLA_FFI_CallFrame *frame) {
    Array arrays[MOST_ARRAYS];
    if (is_question(frame) || frame->stage != XLA_FFI_ExecutionStage_EXECUTE) return NULL;
    arrays_of(frame, arrays);
    int above = setting(frame, 0), below = setting(frame, 1);
    char transposed = setting(frame, 2) ? 'T' : 'N';
    int leading = 2 * below + above + 1, size = length_of(arrays[3]), one = 1, info;
    Array all = arrays[3];
    for (int64_t lane = 0, lanes = lanes_of(all); lane < lanes; lane++) {
        void *solution = vector(all, all, lane);
        memcpy(solution, vector(arrays[2], all, lane), size * all.bytes);
        solve[all.bytes == 4](&transposed, &size, &below, &above, &one,
                              vector(arrays[0], all, lane), &leading, vector(arrays[1], all, lane),
                              solution, &size, &info);
    }
    return NULL;
}

/* A function of Python: the number of what it is to do, and the arrays. */
typedef int64_t (*Host)(int64_t key, int64_t task, int64_t count, const Array *arrays);
static Host host;

void set_host(Host function) { host = function; }

XLA_FFI_Error *call_host(XLA_FFI_CallFrame *frame) {
    Array arrays[MOST_ARRAYS];
    if (is_question(frame) || frame->stage != XLA_FFI_ExecutionStage_EXECUTE) return NULL;
    int64_t count = arrays_of(frame, arrays);
    if (host(setting(frame, 0), setting(frame, 1), count, arrays))
        return refused(frame, "a sparse system of adjointbench could not be solved");
    return NULL;
}
