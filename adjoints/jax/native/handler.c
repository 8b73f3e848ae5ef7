/* What every handler that XLA calls has in common; it stands before each.

   The last axis of an array is a vector; those before it are lanes, or of size one where all lanes
   read the same. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xla/ffi/api/c_api.h"

/* Whether a handler is to do its work, and not only asked for the version of the interface. */
static int is_called(XLA_FFI_CallFrame *frame) {
    XLA_FFI_Extension_Base *extension = frame->extension_start;
    if (extension && extension->type == XLA_FFI_Extension_Metadata) {
        XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)extension)->metadata;
        metadata->api_version.major_version = XLA_FFI_API_MAJOR;
        metadata->api_version.minor_version = XLA_FFI_API_MINOR;
        return 0;
    }
    return frame->stage == XLA_FFI_ExecutionStage_EXECUTE;
}

static XLA_FFI_Error *refused(const XLA_FFI_CallFrame *frame, const char *message) {
    XLA_FFI_Error_Create_Args args = {
        .struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
        .message = message, .errc = XLA_FFI_Error_Code_INTERNAL,
    };
    return frame->api->XLA_FFI_Error_Create(&args);
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
