/* What XLA calls: finds the program, and calls it with a row of pointers for each lane. */

typedef void (*Call)(const long *sizes, const void *const *in, const long *settings,
                     void *const *out);

/* The record of a solve, which many lanes do without, has this place among the results. */
enum { CALLS = 3, RECORD_OUT = 4 };

/* The programs of this process, by their keys, of one lane and of many; only added to, under Python's
   lock. */
typedef struct { int64_t key, many; Call calls[CALLS]; } Program;
static Program *programs;
static volatile int64_t known, room;

/* Fewer lanes are solved one after the other: compiling would take longer than is ever gained. */
enum { FEWEST_BESIDE = 4 };

/* Makes the program of many lanes, where there is none, and adds it. */
static void (*compile_lanes)(int64_t key);

void set_compiler(void (*compiler)(int64_t key)) { compile_lanes = compiler; }

/* Earlier tables are left where they are: others may be reading them. */
int add_program(int64_t key, int64_t many, Call solve, Call pull_back, Call estimates) {
    if (known == room) {
        int64_t larger = room ? 2 * room : 64;
        Program *table = malloc(larger * sizeof(Program));
        if (!table) return 0;
        if (known) memcpy(table, programs, known * sizeof(Program));
        programs = table;
        room = larger;
    }
    programs[known] = (Program){key, many, {solve, pull_back, estimates}};
    __sync_synchronize();
    known = known + 1;
    return 1;
}

static Call find(int64_t key, int64_t many, int64_t call) {
    int64_t count = known;
    __sync_synchronize();
    for (int64_t i = count - 1; i >= 0; i--)
        if (programs[i].key == key && programs[i].many == many) return programs[i].calls[call];
    return NULL;
}

static Call find_for(int64_t key, int64_t lanes, int64_t call) {
    Call found = NULL;
    if (lanes >= FEWEST_BESIDE) {
        found = find(key, 1, call);
        if (!found) compile_lanes(key), found = find(key, 1, call);
    }
    return found ? found : find(key, 0, call);
}

/* A row of vectors for each lane. */
static void fill(char **rows, XLA_FFI_Buffer *const *buffers, const XLA_FFI_Buffer *lanes,
                 int64_t count, int64_t columns) {
    for (int64_t lane = 0; lane < count; lane++)
        for (int64_t i = 0; i < columns; i++)
            *rows++ = vector_of(buffers[i], lanes, lane);
}

/* The attributes come in the order of their names: call, program, settings. */
XLA_FFI_Error *call_program(XLA_FFI_CallFrame *frame) {
    if (!is_called(frame)) return NULL;
    const XLA_FFI_Scalar *call = frame->attrs.attrs[0], *key = frame->attrs.attrs[1];
    const XLA_FFI_Array *settings = frame->attrs.attrs[2];
    XLA_FFI_Buffer **in = (XLA_FFI_Buffer **)frame->args.args;
    XLA_FFI_Buffer **out = (XLA_FFI_Buffer **)frame->rets.rets;
    const long sizes[] = {lanes_of(out[0]), frame->args.size, frame->rets.size};
    Call program = find_for(*(int64_t *)key->value, sizes[0], *(int64_t *)call->value);
    if (!program) return refused(frame, "a native program of adjointbench is not loaded");
    char **read = malloc(sizes[0] * (sizes[1] + sizes[2]) * sizeof(char *));
    if (!read) return refused(frame, "there is no room for a native program of adjointbench");
    char **written = read + sizes[0] * sizes[1];
    fill(read, in, out[0], sizes[0], sizes[1]);
    fill(written, out, out[0], sizes[0], sizes[2]);
    for (int64_t lane = 0; sizes[2] > RECORD_OUT && sizes[0] > 1 && lane < sizes[0]; lane++)
        written[lane * sizes[2] + RECORD_OUT] = NULL;
    program(sizes, (const void *const *)read, settings->data, (void *const *)written);
    free(read);
    return NULL;
}
