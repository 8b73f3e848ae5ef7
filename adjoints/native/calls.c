/* What is called from outside: arrays of pointers, as every language has them, with a row for each
   trajectory. */

/* What every call reads, and whole numbers beside. */
enum {
    START, PARAMS, RTOL, ATOL, NUMBERS, SAVE_AT, STOP_TIMES, SIDED, JUMP_ROWS, COUNTS, GIVEN_STEPS,
    OPERANDS
};
enum { SAVES, JUMPS_A_STOP, MOST_STEPS, CONTROL, ABSOLUTE, REDUCTION, WINDOW };

/* What the calls after a solve read besides. */
enum { FOUND = OPERANDS, END, STEPS_FOUND, RECORD, DYS, DTOTALS };

/* What a solve counts, and whether it has kept its record. */
enum { STATUS, ACCEPTED, ATTEMPTS, HAS_RECORD };

/* How many trajectories, and how many pointers a row of what is read and of what is written. */
enum { TRAJECTORIES, COLUMNS_IN, COLUMNS_OUT };

typedef struct {
    const long *sizes;
    const void *const *in;
    const long *settings;
    void *const *out;
} Call;

static const void *read(const Call *call, int operand, long trajectory) {
    return call->in[trajectory * call->sizes[COLUMNS_IN] + operand];
}

static void *written(const Call *call, int result, long trajectory) {
    return call->out[trajectory * call->sizes[COLUMNS_OUT] + result];
}

static Task task_of(const Call *call, long i) {
    const scalar *numbers = read(call, NUMBERS, i);
    const int *counts = read(call, COUNTS, i);
    return (Task){
        .start = read(call, START, i), .p = read(call, PARAMS, i), .rtol = read(call, RTOL, i),
        .atol = read(call, ATOL, i), .save_at = read(call, SAVE_AT, i),
        .stop_times = read(call, STOP_TIMES, i), .sided = read(call, SIDED, i),
        .jumps = read(call, JUMP_ROWS, i), .steps = read(call, GIVEN_STEPS, i),
        .t0 = numbers[0], .first_step = numbers[1], .max_step = numbers[2],
        .first_stop = counts[0], .last_stop = counts[1], .taken = counts[2], .pieces = counts[3],
        .sound = counts[4],
    };
}

static void load(Lanes *lanes, const Call *call, int l, long trajectory) {
    Task task = lanes->task[l] = task_of(call, trajectory);
    for (int j = 0; j < N; j++) {
        LANE(lanes->y[j], l) = task.start[j];
        LANE(lanes->rtol[j], l) = task.rtol[j], LANE(lanes->atol[j], l) = task.atol[j];
    }
    for (int j = 0; j < P; j++) LANE(lanes->p[j], l) = task.p[j];
    set_stop(lanes, l, task.first_stop);
}

/* Lanes that have operands, and no trajectories. */
static Lanes *lanes_of(const Call *call) {
    const long *settings = call->settings;
    Lanes *lanes = room_of(sizeof(Lanes));
    if (!lanes) return NULL;
    memset(lanes, 0, sizeof(Lanes));
    lanes->saves = settings[SAVES], lanes->jumps_a_stop = settings[JUMPS_A_STOP];
    lanes->max_steps = settings[MOST_STEPS], lanes->control = settings[CONTROL];
    lanes->absolute = settings[ABSOLUTE], lanes->reduction = settings[REDUCTION];
    lanes->window = settings[WINDOW];
    if (W > 1) {
        /* As long as the caches take: nobody else has room for it. */
        long fit = GROUP_BYTES / sizeof(Taken);
        lanes->window = kept_of(lanes->max_steps, fit < 8 ? 8 : fit);
    }
    EACH_LANE load(lanes, call, l, 0);
    for (int j = P; j < P + DATA; j++) lanes->p[j] = number(lanes->task[0].p[j]);
    return lanes;
}

static void fill(scalar *to, long count) {
    for (long i = 0; i < count; i++) to[i] = NAN;
}

/* All trajectories, a lane taking the next one when it has ended one. */
static void solve_each(const Call *call, Lanes *lanes, Record *record, Report *reports) {
    long next = 0, count = call->sizes[TRAJECTORIES];
    do {
        truth fresh = {0};
        EACH_LANE if (!TRUTH(lanes->running, l) && next < count) {
            load(lanes, call, l, next);
            lanes->ys[l] = written(call, 0, next);
            lanes->steps[l] = written(call, 3, next);
            if (record->length)
                *record = record_in(written(call, 4, next), lanes);
            lanes->report[l] = &reports[next++];
            TRUTH(fresh, l) = YES;
        }
        if (any(fresh)) begin(lanes, fresh);
        int occupied = lanes->occupied;
        while (occupied && lanes->occupied == occupied) attempt(lanes, record);
    } while (lanes->occupied || next < count);
}

/* Out: the saves, NAN after a breakdown; status, accepted steps, attempts, and whether there is a
   record; the time of the end; the accepted steps; and, of a program of one lane, the record for the calls that follow, where
   there is room for it. */
void solve(const long *sizes, const void *const *in, const long *settings, void *const *out) {
    Call call = {sizes, in, settings, out};
    long count = sizes[TRAJECTORIES];
    Lanes *lanes = lanes_of(&call);
    Report *reports = malloc(count * sizeof(Report));
    Record record = {room_of(sizeof(Taken))};
    void *last = record.window;
    if (W == 1 && out[4] && lanes) record = record_in(out[4], lanes);
    int works = lanes && reports && last;
    if (works) solve_each(&call, lanes, &record, reports);
    for (long i = 0; i < count; i++) {
        Report report = works ? reports[i] : (Report){.status = FAILED};
        int *counts = written(&call, 1, i);
        counts[STATUS] = report.status, counts[ACCEPTED] = report.accepted;
        counts[ATTEMPTS] = report.attempts, counts[HAS_RECORD] = W == 1 && out[4];
        *(scalar *)written(&call, 2, i) = report.t;
        if (report.status != OK) fill(written(&call, 0, i), settings[SAVES] * N);
    }
    free(lanes), free(reports), free(last);
}
