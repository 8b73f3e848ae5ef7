/* The adaptive loop and the reverse sweep over its accepted steps.

   What comes before in a program: the numbers N (states), P (parameters), SAVES, STOPS and of the
   method, the functions of the problem, and of a step: take(), dense_stages(), step_back(). */

/* The stages of small systems are kept for the reverse sweep; those of others it computes again. */
enum { KEEPS_STAGES = sizeof(Step) <= MOST_KEPT };

typedef struct {
    Row *rows;
    Step *steps; /* the last one alone, unless all are kept */
    long count, room;
} Record;

typedef struct {
    const real *p, *rtol, *atol;
    real first_step; /* NAN where it is to be found */
    long max_steps;
} Task;

static Step *step_at(const Record *record, long i) {
    return &record->steps[KEEPS_STAGES ? i : 0];
}

static Row *next_row(Record *record) {
    if (record->count == record->room) {
        long room = record->room ? 2 * record->room : 128;
        Row *rows = realloc(record->rows, room * sizeof(Row));
        if (rows) record->rows = rows;
        Step *steps = realloc(record->steps, (KEEPS_STAGES ? room : 1) * sizeof(Step));
        if (steps) record->steps = steps;
        if (!rows || !steps) return NULL;
        record->room = room;
    }
    return &record->rows[record->count];
}

/* On this side of the last stop and of the next. */
static Limits limits_at(int stop) {
    Limits side = {-INFINITY, INFINITY};
    if (BREAKS) {
        if (stop > 0 && sided[stop - 1]) side.before = stop_times[stop - 1];
        if (sided[stop]) side.after = stop_times[stop];
        side.before = nextafter(side.before, INFINITY);
        side.after = nextafter(side.after, -INFINITY);
    }
    return side;
}

static int passed_before(real t1, int saved) {
    while (saved < SAVES - 1 && save_at[saved] < t1) saved++;
    return saved;
}

static real root_mean_square(const real *x, const real *scale) {
    real total = 0;
    for (int j = 0; j < N; j++) total += (x[j] / scale[j]) * (x[j] / scale[j]);
    return sqrt(total / N);
}

static real first_size(const Task *task, const real *y, const real *slope) {
    real span = stop_times[FIRST_STOP] - T0, scale[N], ahead[N], at[N];
    if (!isnan(task->first_step)) return task->first_step;
    if (!ADAPTIVE) return (stop_times[STOPS - 1] - T0) / FIXED_STEPS;
    for (int j = 0; j < N; j++) scale[j] = task->atol[j] + task->rtol[j] * fabs(y[j]);
    real size = root_mean_square(y, scale), speed = root_mean_square(slope, scale);
    real guess = size < 1e-5 || speed < 1e-5 ? 1e-6 : 0.01 * size / speed;
    guess = minimum(guess, span);
    for (int j = 0; j < N; j++) at[j] = y[j] + guess * slope[j];
    f(T0 + guess, at, task->p, ahead);
    for (int j = 0; j < N; j++) ahead[j] -= slope[j];
    real bend = root_mean_square(ahead, scale) / guess;
    real largest = maximum(speed, bend);
    real second = largest <= 1e-15 ? maximum((real)1e-6, guess * (real)1e-3)
                                   : pow(0.01 / largest, (real)1 / (ERROR_ORDER + 1));
    real step = minimum(minimum(100 * guess, second), span);
    return isfinite(step) ? step : (real)1e-6 * span;
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

static real error_norm(const Task *task, const real *y, real h, const Step *step) {
    real scale[N], high = 0, low = 0;
    for (int j = 0; j < N; j++)
        scale[j] = task->atol[j] + task->rtol[j] * maximum(fabs(y[j]), fabs(step->y1[j]));
    embedded_error(step, scale, &high, &low);
    if (!DAMPED) return fabs(h) * sqrt(high);
    real damped = high + (real)0.01 * low;
    return fabs(h) * (damped > 0 ? high / sqrt(damped) : high);
}

/* The saves on a step, and the state after it: that after the jumps where it ends on a stop. */
static void write_saves(const Row *row, const real *p, Limits side, Step *step, real *ys) {
    if (row->passed == row->saved) return;
    dense_stages(row, p, side, step);
    for (int m = row->saved; m < row->passed; m++)
        dense_value(step, row->y, row->h, (save_at[m] - row->t) / row->h, ys + (long)m * N);
}

static void after_step(const Row *row, const real *p, const Step *step, real *y) {
    memcpy(y, step->y1, sizeof(real) * N);
    if (row->reaches) jumps_at(row->stop, row->t1, y, p);
}

static void write_last(const real *y, int saved, real *ys) {
    for (int m = saved; m < SAVES; m++) memcpy(ys + (long)m * N, y, sizeof(real) * N);
}

/* Steps to the end; how it ended. */
static int forward(const Task *task, const real *y0, Record *record, long *attempts, real *ys) {
    real y[N], slope[N], t = T0, previous_error = SMALLEST_ERROR;
    int stop = FIRST_STOP, saved = 0, status = RUNNING;
    memcpy(y, y0, sizeof(y));
    Limits side = limits_at(stop);
    f(clip(t, side), y, task->p, slope);
    if (!all_finite(y, N) || !all_finite(slope, N)) status = NONFINITE;
    real size = first_size(task, y, slope);
    while (status == RUNNING) {
        Row *row = next_row(record);
        if (!row) return FAILED;
        Step *step = step_at(record, record->count);
        real end = stop_times[stop];
        row->reaches = t + STRETCH * size >= end;
        row->t = t, row->stop = stop, row->saved = saved;
        row->h = row->reaches ? end - t : size;
        row->t1 = row->reaches ? end : t + row->h;
        memcpy(row->y, y, sizeof(y));
        int failure = take(row, task->p, slope, side, step);
        real error = ADAPTIVE ? error_norm(task, y, row->h, step)
                              : all_finite(step->y1, N) ? 0 : NAN;
        if (failure != RUNNING) error = INFINITY;
        int accept = error <= 1, passes = accept && row->reaches;
        if (ADAPTIVE) {
            real proposal = row->h * next_factor(error, previous_error);
            size = short_size(passes ? maximum(proposal, size) : proposal);
        }
        ++*attempts;
        if (accept) {
            previous_error = maximum(error, SMALLEST_ERROR);
            row->passed = saved = passed_before(row->t1, saved);
            write_saves(row, task->p, side, step, ys);
            after_step(row, task->p, step, y);
            memcpy(slope, step->k[SLOPE], sizeof(slope));
            t = row->t1;
            record->count++;
        }
        if (*attempts >= task->max_steps) status = MAX_STEPS;
        int broken = !isfinite(error);
        if (ADAPTIVE ? !accept && size <= 16 * EPSILON * fabs(t) : broken)
            status = failure != RUNNING ? failure : broken ? NONFINITE : STEP_TOO_SMALL;
        else if (passes && stop == STOPS - 1)
            status = OK;
        if (passes && stop < STOPS - 1) side = limits_at(++stop);
        if (passes && (BREAKS || JUMPS)) f(clip(t, side), y, task->p, slope);
    }
    if (status == OK) write_last(y, saved, ys);
    return status;
}

/* The recorded steps again, each in so many pieces; in none, joined in pairs between stops. */
static int replay(const Task *task, const Record *record, int pieces, Record *finer, real *ys) {
    real y[N], slope[N];
    int saved = 0, status = OK;
    memcpy(y, record->rows[0].y, sizeof(y));
    for (long i = 0; i < record->count && status == OK; i++) {
        const Row *whole = &record->rows[i], *end = whole;
        int count = pieces ? pieces : 1;
        if (!pieces && !whole->reaches && i + 1 < record->count) end = &record->rows[++i];
        real size = (whole->h + (end == whole ? 0 : end->h)) / count;
        for (int piece = 0; piece < count && status == OK; piece++) {
            Row *row = next_row(finer);
            if (!row) return FAILED;
            Step *step = step_at(finer, finer->count);
            int last = piece == count - 1;
            row->h = size, row->t = whole->t + piece * size;
            row->t1 = last ? end->t1 : row->t + size;
            row->stop = whole->stop, row->reaches = end->reaches && last, row->saved = saved;
            memcpy(row->y, y, sizeof(y));
            Limits side = limits_at(row->stop);
            f(clip(row->t, side), y, task->p, slope);
            int failure = take(row, task->p, slope, side, step);
            row->passed = saved = passed_before(row->t1, saved);
            write_saves(row, task->p, side, step, ys);
            after_step(row, task->p, step, y);
            if (failure != RUNNING) status = failure;
            else if (!all_finite(y, N)) status = NONFINITE;
            finer->count++;
        }
    }
    if (status == OK) write_last(y, saved, ys);
    return status;
}

/* The cotangent of the start, from those of the saves; adds to that of the parameters. */
static int reverse(const Task *task, const Record *record, const real *dys, real *w, real *dp) {
    real slope[N];
    Back *back = malloc(sizeof(Back));
    if (!back) return FAILED;
    memset(w, 0, sizeof(real) * N);
    const Row *last = &record->rows[record->count - 1];
    for (int m = last->passed; m < SAVES; m++)
        for (int j = 0; j < N; j++) w[j] += dys[(long)m * N + j];
    for (long i = record->count - 1; i >= 0; i--) {
        const Row *row = &record->rows[i];
        Limits side = limits_at(row->stop);
        Step *step = step_at(record, i);
        if (!KEEPS_STAGES) {
            f(clip(row->t, side), row->y, task->p, slope);
            if (row->passed > row->saved) {
                take(row, task->p, slope, side, step);
                dense_stages(row, task->p, side, step);
            } else take_again(row, task->p, slope, side, step);
        }
        if (row->reaches) jumps_back(row->stop, row->t1, step->y1, task->p, w, dp);
        step_back(row, task->p, side, step, back, dys, w, dp);
    }
    free(back);
    return OK;
}

/* Loss, gradient by the start and by the parameters into `found`, the gradient only where it is
   wanted; the times of the accepted steps where there is room for them. Given are the start and the
   parameters. Counts: accepted steps and attempts, and the steps swept. Returns how it ended. */
int run(const real *given, const real *tolerances, double first_step, long max_steps, int pieces,
        int wanted, real *found, real *times, long *counts) {
    const real *p = given + N;
    Task task = {p, tolerances, tolerances + N, first_step, max_steps};
    Record record = {0}, finer = {0};
    real y0[N], *dy0 = found + 1, *dp = dy0 + N;
    real *ys = malloc(2 * sizeof(real) * N * SAVES), *dys = ys + (long)N * SAVES;
    if (!ys) return FAILED;
    memcpy(y0, given, sizeof(y0));
    if (FIRST_STOP) jumps_at(0, T0, y0, p);
    int status = forward(&task, y0, &record, &counts[1], ys);
    counts[0] = record.count;
    for (long i = 0; times && i < record.count; i++)
        times[i] = record.rows[i].t, times[i + 1] = record.rows[i].t1;
    const Record *taken = &record;
    if (status == OK && pieces != 1) {
        status = replay(&task, &record, pieces, &finer, ys);
        taken = &finer;
    }
    counts[2] = taken->count;
    if (status == OK) loss_value(ys, p, found);
    if (status == OK && wanted) {
        loss_gradient(ys, p, dys, dp);
        status = reverse(&task, taken, dys, dy0, dp);
        if (FIRST_STOP) jumps_back(0, T0, given, p, dy0, dp);
    }
    free(record.rows), free(record.steps), free(finer.rows), free(finer.steps), free(ys);
    return status;
}
