/* What is called from outside: arrays of pointers, as every language has them. */

/* What every call reads, and whole numbers beside. */
enum {
    START, PARAMS, RTOL, ATOL, NUMBERS, SAVE_AT, STOP_TIMES, SIDED, JUMP_ROWS, COUNTS, GIVEN_STEPS,
    OPERANDS
};
enum { SAVES, JUMPS_A_STOP, MOST_STEPS, CONTROL, ABSOLUTE, REDUCTION, WINDOW };

static Task task_of(const void *const *in, const long *settings) {
    const real *numbers = in[NUMBERS];
    const int *counts = in[COUNTS];
    return (Task){
        .p = in[PARAMS], .rtol = in[RTOL], .atol = in[ATOL], .save_at = in[SAVE_AT],
        .stop_times = in[STOP_TIMES], .sided = in[SIDED], .jumps = in[JUMP_ROWS],
        .steps = in[GIVEN_STEPS],
        .t0 = numbers[0], .first_step = numbers[1], .max_step = numbers[2],
        .first_stop = counts[0], .last_stop = counts[1], .taken = counts[2], .pieces = counts[3],
        .sound = counts[4],
        .saves = settings[SAVES], .jumps_a_stop = settings[JUMPS_A_STOP],
        .max_steps = settings[MOST_STEPS], .control = settings[CONTROL],
        .absolute = settings[ABSOLUTE], .reduction = settings[REDUCTION],
        .window = settings[WINDOW],
    };
}

/* What the calls after a solve read besides. */
enum { FOUND = OPERANDS, END, STEPS_FOUND, RECORD, DYS, DTOTALS };

/* The record of a solve, which is made again in `room` where it was not kept. */
static Record kept(const Task *task, const void *const *in, Report *report, char **room) {
    const int *counts = in[FOUND];
    *report = (Report){counts[1], counts[2], counts[0], *(const real *)in[END]};
    if (in[RECORD])
        return record_in((char *)in[RECORD], task, (real *)in[STEPS_FOUND]);
    long size = record_bytes(task->max_steps, task->window);
    *room = malloc(size + sizeof(real) * task->saves * N);
    if (!*room) return report->status = FAILED, (Record){0};
    Record record = record_in(*room, task, (real *)in[STEPS_FOUND]);
    if (report->status == OK)
        forward(task, in[START], &record, (real *)(*room + size), report);
    return record;
}

/* Out: the saves, NAN after a breakdown; status, accepted steps and attempts; the time of the end;
   the accepted steps; and the record for the calls that follow, where there is room for it. */
void solve(const void *const *in, const long *settings, void *const *out) {
    Task task = task_of(in, settings);
    real *ys = out[0], *steps = out[3];
    int *counts = out[1];
    Report report;
    Taken last;
    Record record = {.window = &last, .steps = steps};
    if (out[4]) record = record_in(out[4], &task, steps);
    forward(&task, in[START], &record, ys, &report);
    counts[0] = report.status, counts[1] = report.accepted, counts[2] = report.attempts;
    *(real *)out[2] = report.t;
    for (long i = 0; report.status != OK && i < task.saves * N; i++) ys[i] = NAN;
}

/* Out: the cotangents of start and parameters from those of the saves and, where there are any, of
   the estimates; NAN after a breakdown. */
void pull_back(const void *const *in, const long *settings, void *const *out) {
    Task task = task_of(in, settings);
    real *dy0 = out[0], *dp = out[1];
    Report report;
    char *room = NULL;
    Record record = kept(&task, in, &report, &room);
    int status = report.status;
    memset(dp, 0, P * sizeof(real));
    if (status == OK) status = reverse(&task, &report, record, in[DYS], in[DTOTALS], dy0, dp);
    for (long i = 0; status != OK && i < N; i++) dy0[i] = NAN;
    for (long i = 0; status != OK && i < P; i++) dp[i] = NAN;
    free(room);
}

/* Out: the estimates of error, of its square, and of stiffness. */
void estimates(const void *const *in, const long *settings, void *const *out) {
    Task task = task_of(in, settings);
    Report report;
    char *room = NULL;
    long largest[3];
    Record record = kept(&task, in, &report, &room);
    if (estimated(&task, &report, record, out[0], largest) != OK)
        for (int k = 0; k < 3; k++) ((real *)out[0])[k] = NAN;
    free(room);
}
