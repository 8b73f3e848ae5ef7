/* What is called from outside: arrays of pointers, as every language has them. */

/* What every call reads, and whole numbers beside. */
enum {
    START, PARAMS, RTOL, ATOL, NUMBERS, SAVE_AT, STOP_TIMES, SIDED, JUMP_ROWS, COUNTS, GIVEN_STEPS,
    OPERANDS
};
enum { SAVES, JUMPS_A_STOP, MOST_STEPS, CONTROL, ABSOLUTE, REDUCTION };

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
    };
}

static Report report_of(const int *counts, const real *end) {
    return (Report){counts[1], counts[2], counts[0], *end};
}

/* The saves; status, accepted steps and attempts; the time of the end; the accepted steps; and the
   record for the calls that follow, if there is room for it. */
void solve(const void *const *in, const long *settings, real *ys, int *counts, real *end,
           real *steps, char *room) {
    Task task = task_of(in, settings);
    Report report;
    Taken last;
    Record record = {.window = &last, .steps = steps};
    if (room) record = record_in(room, task.max_steps, steps);
    forward(&task, in[START], &record, ys, &report);
    counts[0] = report.status, counts[1] = report.accepted, counts[2] = report.attempts;
    *end = report.t;
    for (long i = 0; report.status != OK && i < task.saves * N; i++) ys[i] = NAN;
}

/* The cotangents of start and parameters from those of the saves and, unless it is NULL, of the
   estimates; NAN where the solve broke down. */
void pull_back(const void *const *in, const long *settings, const int *counts, const real *end,
               real *steps, char *room, const real *dys, const real *dtotals, real *dy0,
               real *dp) {
    Task task = task_of(in, settings);
    Report report = report_of(counts, end);
    int status = report.status;
    memset(dp, 0, P * sizeof(real));
    if (status == OK)
        status = reverse(&task, &report, record_in(room, task.max_steps, steps), dys, dtotals, dy0,
                         dp);
    for (long i = 0; status != OK && i < N; i++) dy0[i] = NAN;
    for (long i = 0; status != OK && i < P; i++) dp[i] = NAN;
}
