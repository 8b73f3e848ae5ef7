/* What XLA calls: finds the program, and calls it once for each lane. */

#include <stdlib.h>
#include <string.h>

#include "xla/ffi/api/c_api.h"

typedef void (*Call)(const void *const *in, const long *settings, void *const *out);

/* The record of a solve, which many lanes do without, has these places among the buffers. */
enum { CALLS = 3, MOST_BUFFERS = 24, RECORD_IN = 14, RECORD_OUT = 4 };

/* The programs of this process, by their keys; only added to, under Python's lock. */
typedef struct { int64_t key; Call calls[CALLS]; } Program;
static Program *programs;
static volatile int64_t known, room;

/* Earlier tables are left where they are: others may be reading them. */
int add_program(int64_t key, Call solve, Call pull_back, Call estimates) {
    if (known == room) {
        int64_t larger = room ? 2 * room : 64;
        Program *table = malloc(larger * sizeof(Program));
        if (!table) return 0;
        if (known) memcpy(table, programs, known * sizeof(Program));
        programs = table;
        room = larger;
    }
    programs[known] = (Program){key, {solve, pull_back, estimates}};
    __sync_synchronize();
    known = known + 1;
    return 1;
}

static Call find(int64_t key, int64_t call) {
    for (int64_t i = known - 1; i >= 0; i--)
        if (programs[i].key == key) return programs[i].calls[call];
    return NULL;
}

static int64_t bytes_of(XLA_FFI_DataType type) {
    switch (type) {
    case XLA_FFI_DataType_F64:
    case XLA_FFI_DataType_S64: return 8;
    case XLA_FFI_DataType_F32:
    case XLA_FFI_DataType_S32: return 4;
    default: return 1;
    }
}

static int64_t lanes_of(const XLA_FFI_Buffer *buffer) {
    int64_t lanes = 1;
    for (int64_t axis = 0; axis < buffer->rank - 1; axis++) lanes *= buffer->dims[axis];
    return lanes;
}

/* Where a lane's vector begins in a buffer; the axes before the last are lanes, or of size one. */
static char *vector_of(const XLA_FFI_Buffer *buffer, const XLA_FFI_Buffer *lanes, int64_t lane) {
    int64_t size = buffer->dims[buffer->rank - 1], offset = 0, stride = 1;
    if (size == 0) return NULL;
    for (int64_t axis = buffer->rank - 2; axis >= 0; axis--) {
        int64_t at = lane % lanes->dims[axis];
        lane /= lanes->dims[axis];
        if (buffer->dims[axis] > 1) offset += at * stride;
        stride *= buffer->dims[axis];
    }
    return (char *)buffer->data + offset * size * bytes_of(buffer->dtype);
}

static XLA_FFI_Error *refused(const XLA_FFI_CallFrame *frame, const char *message) {
    XLA_FFI_Error_Create_Args args = {
        .struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
        .message = message, .errc = XLA_FFI_Error_Code_INTERNAL,
    };
    return frame->api->XLA_FFI_Error_Create(&args);
}

/* The attributes come in the order of their names: call, program, settings. */
XLA_FFI_Error *call_program(XLA_FFI_CallFrame *frame) {
    XLA_FFI_Extension_Base *extension = frame->extension_start;
    if (extension && extension->type == XLA_FFI_Extension_Metadata) {
        XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)extension)->metadata;
        metadata->api_version.major_version = XLA_FFI_API_MAJOR;
        metadata->api_version.minor_version = XLA_FFI_API_MINOR;
        return NULL;
    }
    if (frame->stage != XLA_FFI_ExecutionStage_EXECUTE) return NULL;
    const XLA_FFI_Scalar *call = frame->attrs.attrs[0], *key = frame->attrs.attrs[1];
    const XLA_FFI_Array *settings = frame->attrs.attrs[2];
    Call program = find(*(int64_t *)key->value, *(int64_t *)call->value);
    if (!program) return refused(frame, "a native program of adjointbench is not loaded");
    if (frame->args.size > MOST_BUFFERS || frame->rets.size > MOST_BUFFERS)
        return refused(frame, "too many operands for a native program of adjointbench");
    XLA_FFI_Buffer **in = (XLA_FFI_Buffer **)frame->args.args;
    XLA_FFI_Buffer **out = (XLA_FFI_Buffer **)frame->rets.rets;
    int64_t lanes = lanes_of(out[0]);
    for (int64_t lane = 0; lane < lanes; lane++) {
        const void *read[MOST_BUFFERS];
        void *written[MOST_BUFFERS];
        for (int64_t i = 0; i < frame->args.size; i++) read[i] = vector_of(in[i], out[0], lane);
        for (int64_t i = 0; i < frame->rets.size; i++) written[i] = vector_of(out[i], out[0], lane);
        if (frame->args.size > RECORD_IN && lanes_of(in[RECORD_IN]) > 1) read[RECORD_IN] = NULL;
        if (frame->rets.size > RECORD_OUT && lanes > 1) written[RECORD_OUT] = NULL;
        program(read, settings->data, written);
    }
    return NULL;
}
