/* The adaptive loop.

   What comes before in a program: N (states), P (parameters), JUMPS, BREAKS and the numbers of the
   method; f(), vjp() and the jumps; of a step take(), dense_stages(), embedded_error() and
   dense_value(). */

/* A step as it was taken, and the state from which a window of steps began. */
typedef struct { Row row; Step step; } Taken;
typedef struct { real t; int stop, saved; real y[N]; } Start;

/* What the reverse sweep reads. The steps are pairs of start and size; those of a window are kept
   with their stages, and of older windows the steps are taken again. In a window of no length the
   last step alone is kept, for no sweep. */
typedef struct {
    Taken *window;
    long length;
    Start *starts;
    signed char *reaches;
    real *steps;
} Record;

typedef struct {
    long accepted, attempts;
    int status;
    real t;
} Report;

static long windows_of(long max_steps, long length) { return (max_steps + length - 1) / length; }

/* The bytes of a step in a window, and of a record but for the times of its steps. */
long step_bytes(void) { return sizeof(Taken); }

long record_bytes(long max_steps, long length) {
    if (length == 0) return 0;
    long kept = max_steps < length ? max_steps : length;
    return kept * sizeof(Taken) + windows_of(max_steps, length) * sizeof(Start) + max_steps;
}

static Record record_in(char *room, const Task *task, real *steps) {
    long length = task->window, kept = task->max_steps < length ? task->max_steps : length;
    Record record = {(Taken *)room, length, (Start *)(room + kept * sizeof(Taken)), NULL, steps};
    record.reaches = (signed char *)(record.starts + windows_of(task->max_steps, length));
    return record;
}

static Taken *taken_at(const Record *record, long i) {
    return &record->window[record->length ? i % record->length : 0];
}

/* The next number towards another; beside zero one that is not taken for zero where XLA calls. */
static real beside(real t, real towards) {
    return t == 0 ? copysign((real)TINY, towards) : nextafter(t, towards);
}

/* On this side of the last stop and of the next. */
static Limits limits_at(const Task *task, int stop) {
    Limits side = {-INFINITY, INFINITY};
    if (BREAKS) {
        if (stop > 0 && task->sided[stop - 1]) side.before = task->stop_times[stop - 1];
        if (task->sided[stop]) side.after = task->stop_times[stop];
        side.before = beside(side.before, INFINITY);
        side.after = beside(side.after, -INFINITY);
    }
    return side;
}

static int passed_before(const Task *task, real t1, int saved) {
    while (saved < task->saves - 1 && task->save_at[saved] < t1) saved++;
    return saved;
}

static real root_mean_square(const real *x, const real *scale) {
    real total = 0;
    for (int j = 0; j < N; j++) total += (x[j] / scale[j]) * (x[j] / scale[j]);
    return sqrt(total / N);
}

static int is_controlled(const Task *task) { return ADAPTIVE && task->control == BY_ERROR; }

static real limited(const Task *task, real size) {
    return size > task->max_step ? task->max_step : size;
}

static real first_size(const Task *task, const real *y, const real *slope) {
    real span = task->stop_times[task->first_stop] - task->t0, scale[N], ahead[N], at[N];
    if (task->control == GIVEN) return span;
    if (!isnan(task->first_step)) return limited(task, task->first_step);
    if (!is_controlled(task))
        return limited(task, (task->stop_times[task->last_stop] - task->t0) / FIXED_STEPS);
    for (int j = 0; j < N; j++) scale[j] = task->atol[j] + task->rtol[j] * fabs(y[j]);
    real size = root_mean_square(y, scale), speed = root_mean_square(slope, scale);
    real guess = size < 1e-5 || speed < 1e-5 ? 1e-6 : 0.01 * size / speed;
    guess = minimum(guess, span);
    for (int j = 0; j < N; j++) at[j] = y[j] + guess * slope[j];
    f(task->t0 + guess, at, task->p, ahead);
    for (int j = 0; j < N; j++) ahead[j] -= slope[j];
    real bend = root_mean_square(ahead, scale) / guess;
    real largest = maximum(speed, bend);
    real second = largest <= 1e-15 ? maximum((real)1e-6, guess * (real)1e-3)
                                   : pow(0.01 / largest, (real)1 / (ERROR_ORDER + 1));
    real step = minimum(minimum(100 * guess, second), span);
    return limited(task, isfinite(step) ? step : (real)1e-6 * span);
}

/* The change of the step size by the PI controller. */
static real next_factor(real error, real previous_error) {
    if (!isfinite(error)) return SMALLEST_FACTOR;
    real order = ERROR_ORDER + 1, size = log(maximum(error, (real)1e-10));
    real exponent = error <= 1 ? -(1 / order - (real)0.75 * PROPORTIONAL) * size
                                     + PROPORTIONAL * log(previous_error)
                               : -size / order;
    real factor = SAFETY * exp(exponent);
    return factor < SMALLEST_FACTOR ? SMALLEST_FACTOR
                                    : factor > LARGEST_FACTOR ? LARGEST_FACTOR : factor;
}

static void scale_of(const Task *task, const Row *row, const Step *step, real *scale) {
    for (int j = 0; j < N; j++)
        scale[j] = task->atol[j] + task->rtol[j] * maximum(fabs(row->y[j]), fabs(step->y1[j]));
}

/* From the squares of both embedded errors, but for the factor of the step size. */
static real norm_of(real high, real low) {
    if (!DAMPED) return sqrt(high);
    real damped = high + (real)0.01 * low;
    return damped > 0 ? high / sqrt(damped) : high;
}

/* What decides; a step with no control fails only where it is not finite. */
static real deciding_error(const Task *task, const Row *row, const Step *step) {
    real scale[N], high = 0, low = 0;
    if (!is_controlled(task)) return all_finite(step->y1, N) ? 0 : NAN;
    scale_of(task, row, step, scale);
    embedded_error(step, scale, &high, &low);
    return fabs(row->h) * norm_of(high, low);
}

/* By how much a given step may miss where it should begin or end. */
static real slack_of(const Row *row, real end) {
    return (STRETCH_GIVEN - 1) * fabs(row->h) + 64 * EPSILON * maximum(fabs(row->t), fabs(end));
}

/* The step to try. */
static void aim(const Task *task, Row *row, real t, real size, long attempts) {
    real end = task->stop_times[row->stop];
    if (task->control == GIVEN) {
        const real *given = task->steps + 2 * (attempts / task->pieces);
        row->h = given[1] / task->pieces;
        row->t = row->h == 0 ? t : given[0] + attempts % task->pieces * row->h;
        row->reaches = row->h != 0 && row->t + row->h >= end - slack_of(row, end);
        row->t1 = row->reaches ? end : row->t + row->h;
        return;
    }
    real stretch = is_controlled(task) && isnan(task->max_step) ? STRETCH : STRETCH_GIVEN;
    row->reaches = t + stretch * size >= end;
    row->t = t;
    row->h = row->reaches ? end - t : size;
    row->t1 = row->reaches ? end : t + row->h;
}

/* Whether a given step goes on from where the last one ended, and the last one arrives. */
static int fits(const Task *task, const Row *row, real t, int finished) {
    real end = task->stop_times[row->stop], slack = slack_of(row, end);
    int follows = row->h == 0
                  || (fabs(row->t - t) <= slack && row->t + row->h <= end + slack && row->h > 0);
    return follows && (!finished || row->t1 >= task->stop_times[task->last_stop]);
}

static void jumps_at(const Task *task, int stop, real t, real *y) {
    for (int k = 0; JUMPS && k < task->jumps_a_stop; k++) {
        int i = task->jumps[stop * task->jumps_a_stop + k];
        real z[N];
        if (i < 0) continue;
        jump(i, t, y, task->p, z);
        memcpy(y, z, sizeof(z));
    }
}

/* The saves on a step. */
static void write_saves(const Task *task, const Row *row, Limits side, Step *step, real *ys) {
    if (row->passed == row->saved) return;
    dense_stages(task, row, side, step);
    for (int m = row->saved; m < row->passed; m++)
        dense_value(step, row->y, row->h, (task->save_at[m] - row->t) / row->h, ys + (long)m * N);
}

static void write_last(const Task *task, const real *y, int saved, real *ys) {
    for (long m = saved; m < task->saves; m++) memcpy(ys + m * N, y, sizeof(real) * N);
}

static void begin_row(const Record *record, Row *row, long i, real t, const real *y, int stop,
                      int saved) {
    row->stop = stop, row->saved = saved;
    memcpy(row->y, y, sizeof(row->y));
    if (record->length && i % record->length == 0) {
        Start *start = &record->starts[i / record->length];
        start->t = t, start->stop = stop, start->saved = saved;
        memcpy(start->y, y, sizeof(start->y));
    }
}

static void keep(const Record *record, const Row *row, long i) {
    if (record->reaches) record->reaches[i] = row->reaches;
    if (record->steps) record->steps[2 * i] = row->t, record->steps[2 * i + 1] = row->h;
}

/* How things stand after an attempt. */
static int status_after(const Task *task, const Report *report, int failure, real error,
                        real size, int finished) {
    int broken = !isfinite(error), stuck = broken;
    if (is_controlled(task)) stuck = !(error <= 1) && size <= 16 * EPSILON * fabs(report->t);
    if (stuck) return failure != RUNNING ? failure : broken ? NONFINITE : STEP_TOO_SMALL;
    return finished ? OK : report->attempts >= task->max_steps ? MAX_STEPS : RUNNING;
}

/* Steps to the end; the saves. */
static void forward(const Task *task, const real *y0, const Record *record, real *ys,
                    Report *report) {
    real y[N], slope[N], t = task->t0, previous_error = SMALLEST_ERROR;
    int stop = task->first_stop, saved = 0;
    memcpy(y, y0, sizeof(y));
    Limits side = limits_at(task, stop);
    f(clip(t, side), y, task->p, slope);
    int sane = all_finite(y, N) && all_finite(slope, N);
    *report = (Report){.status = !task->sound ? FAILED : sane ? RUNNING : NONFINITE, .t = t};
    real size = report->status == RUNNING ? first_size(task, y, slope) : 0;
    while (report->status == RUNNING) {
        Taken *taken = taken_at(record, report->accepted);
        Row *row = &taken->row;
        begin_row(record, row, report->accepted, t, y, stop, saved);
        aim(task, row, t, size, report->attempts);
        int failure = take(task, row, slope, side, &taken->step);
        real error = failure == RUNNING ? deciding_error(task, row, &taken->step) : INFINITY;
        int accept = error <= 1, passes = accept && row->reaches;
        if (is_controlled(task)) {
            real proposal = row->h * next_factor(error, previous_error);
            size = limited(task, short_size(passes ? maximum(proposal, size) : proposal));
        }
        report->attempts++;
        int finished = task->control == GIVEN ? report->attempts >= task->taken * task->pieces
                                              : passes && stop == task->last_stop;
        int unfit = task->control == GIVEN && !fits(task, row, t, finished);
        if (accept) {
            previous_error = maximum(error, SMALLEST_ERROR);
            row->passed = saved = passed_before(task, row->t1, saved);
            write_saves(task, row, side, &taken->step, ys);
            memcpy(y, taken->step.y1, sizeof(y));
            memcpy(slope, taken->step.k[SLOPE], sizeof(slope));
            report->t = t = row->t1;
            keep(record, row, report->accepted++);
        }
        report->status = unfit ? FAILED
                               : status_after(task, report, failure, error, size, finished);
        if (!passes) continue;
        jumps_at(task, stop, t, y);
        if (stop < task->last_stop) side = limits_at(task, ++stop);
        if (BREAKS || JUMPS) f(clip(t, side), y, task->p, slope);
    }
    if (report->status == OK) write_last(task, y, saved, ys);
}
