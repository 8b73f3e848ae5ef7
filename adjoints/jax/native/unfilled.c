/* What XLA calls for storage that nobody fills: it leaves the result as it was given. */

#include <sys/mman.h>

/* A fresh page costs a fault. Linux has large ones, which pay where a row fills a good part of one:
   the whole page is cleared. Asked for as much again after the storage: XLA puts the program's other
   arrays there, and it is a wish that changes nothing but time. */
enum { LARGE_PAGE = 1 << 21, LARGE_ROW = 1 << 16 };

static void ask_for_large_pages(uintptr_t first, uintptr_t rows, uintptr_t row) {
#ifdef MADV_HUGEPAGE
    uintptr_t last = (first + 2 * rows * row) / LARGE_PAGE * LARGE_PAGE;
    first = (first + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    if (row >= LARGE_ROW && first < last) madvise((void *)first, last - first, MADV_HUGEPAGE);
#endif
}

/* The attribute is the size of a row in bytes. */
XLA_FFI_Error *leave_unfilled(XLA_FFI_CallFrame *frame) {
    if (is_called(frame)) {
        const XLA_FFI_Buffer *storage = frame->rets.rets[0];
        const XLA_FFI_Scalar *row = frame->attrs.attrs[0];
        ask_for_large_pages((uintptr_t)storage->data, storage->dims[0], *(int64_t *)row->value);
    }
    return NULL;
}
