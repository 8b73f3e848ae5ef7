/* The adaptive loop.

   What comes before in a program: N (states), P (parameters), DATA, JUMPS, BREAKS and the numbers of
   the method; f(), vjp() and the jumps; of a step take(), dense_stages(), embedded_error() and
   dense_value(). */

/* A step as it was taken, how it is taken again, and from where a window of steps began. */
typedef struct { Row row; Step step; } Taken;
typedef struct { real t, h; truth accepted, reaches; } Trace;
typedef struct { real t, y[N], slope[N]; int stop[W], saved[W]; } Start;

/* What the reverse sweep reads. The steps of a window are kept with their stages, and of older
   windows the steps are taken again. In a window of no length the last step alone is kept, for no
   sweep. */
typedef struct {
    Taken *window;
    long length;
    Start *starts;
    Trace *traces;
    long count;
} Record;

static long windows_of(long max_steps, long length) { return (max_steps + length - 1) / length; }

static long kept_of(long max_steps, long length) { return max_steps < length ? max_steps : length; }

/* The bytes of a step in a window, and of a record. */
long step_bytes(void) { return sizeof(Taken); }

long record_bytes(long max_steps, long length) {
    if (length == 0) return 0;
    return kept_of(max_steps, length) * sizeof(Taken)
           + windows_of(max_steps, length) * sizeof(Start) + max_steps * sizeof(Trace);
}

static Record record_in(void *room, const Lanes *lanes) {
    Record record = {room, lanes->window};
    record.starts = (Start *)(record.window + kept_of(lanes->max_steps, lanes->window));
    record.traces = (Trace *)(record.starts + windows_of(lanes->max_steps, lanes->window));
    return record;
}

static Taken *taken_at(const Record *record, long i) {
    return &record->window[record->length ? i % record->length : 0];
}

/* The next number towards another; beside zero one that is not taken for zero where XLA calls. */
static scalar beside(scalar t, scalar towards) {
    return t == 0 ? copysign((scalar)TINY, towards) : nextafter(t, towards);
}

/* Between the last stop and the next: of times with two sides, on this one. */
static void set_stop(Lanes *lanes, int l, int stop) {
    const Task *task = &lanes->task[l];
    lanes->stop[l] = stop;
    LANE(lanes->end, l) = task->stop_times[stop];
    if (!BREAKS) return;
    scalar before = stop > 0 && task->sided[stop - 1] ? task->stop_times[stop - 1] : -INFINITY;
    scalar after = task->sided[stop] ? task->stop_times[stop] : INFINITY;
    LANE(lanes->side.before, l) = beside(before, INFINITY);
    LANE(lanes->side.after, l) = beside(after, -INFINITY);
}

static void set_saved(Lanes *lanes, int l, int saved) {
    lanes->saved[l] = saved;
    LANE(lanes->next_save, l) =
        saved < lanes->saves - 1 ? lanes->task[l].save_at[saved] : (scalar)INFINITY;
}

static void set_slope(Lanes *lanes, truth which) {
    real slope[N];
    f(clip(lanes->t, lanes->side), lanes->y, lanes->p, slope);
    for (int j = 0; j < N; j++) lanes->slope[j] = blend(which, slope[j], lanes->slope[j]);
}

static real root_mean_square(const real *x, const real *scale) {
    real total = number(0);
    for (int j = 0; j < N; j++) total += (x[j] / scale[j]) * (x[j] / scale[j]);
    return sqrt_lanes(total / N);
}

static int is_controlled(const Lanes *lanes) { return ADAPTIVE && lanes->control == BY_ERROR; }

static real limited(const Lanes *lanes, real size) {
    return blend(size > lanes->max_step, lanes->max_step, size);
}

/* The first size by slope and curvature at the start. */
static real found_size(const Lanes *lanes) {
    const real *y = lanes->y;
    real slope[N], later[N];
    first_slope(lanes->slope, slope);
    real span = lanes->end - lanes->t, scale[N], ahead[N], at[N];
    for (int j = 0; j < N; j++) scale[j] = lanes->atol[j] + lanes->rtol[j] * fabs_lanes(y[j]);
    real size = root_mean_square(y, scale), speed = root_mean_square(slope, scale);
    truth tiny = (size < number(1e-5)) | (speed < number(1e-5));
    real guess = minimum(blend(tiny, number(1e-6), number(0.01) * size / speed), span);
    for (int j = 0; j < N; j++) at[j] = y[j] + guess * slope[j];
    f(lanes->t + guess, at, lanes->p, later);
    first_slope(later, ahead);
    for (int j = 0; j < N; j++) ahead[j] -= slope[j];
    real largest = maximum(speed, root_mean_square(ahead, scale) / guess);
    real second = blend(largest <= number(1e-15), maximum(number(1e-6), guess * number(1e-3)),
                        pow_lanes(number(0.01) / largest, number((scalar)1 / (ERROR_ORDER + 1))));
    real step = minimum(minimum(100 * guess, second), span);
    return blend(is_finite(step), step, number(1e-6) * span);
}

static real first_size(const Lanes *lanes) {
    if (lanes->control == GIVEN) return number(0);
    real size = number(0);
    int unknown = 0;
    EACH_LANE {
        const Task *task = &lanes->task[l];
        if (!TRUTH(lanes->running, l)) continue;
        LANE(size, l) = task->first_step;
        if (!isnan(task->first_step)) continue;
        LANE(size, l) = (task->stop_times[task->last_stop] - task->t0) / FIXED_STEPS;
        unknown = 1;
    }
    if (unknown && is_controlled(lanes)) {
        real found = found_size(lanes);
        EACH_LANE if (isnan(lanes->task[l].first_step)) LANE(size, l) = LANE(found, l);
    }
    return limited(lanes, size);
}

/* The change of the step size by the PI controller. */
static real next_factor(real error, real previous_error) {
    const scalar order = ERROR_ORDER + 1;
    real size = log_lanes(maximum(error, number(1e-10)));
    real accepted = PROPORTIONAL * log_lanes(previous_error)
                    - (1 / order - (scalar)0.75 * PROPORTIONAL) * size;
    real factor = SAFETY * exp_lanes(blend(error <= 1, accepted, -size / order));
    factor = minimum(maximum(factor, number(SMALLEST_FACTOR)), number(LARGEST_FACTOR));
    return blend(is_finite(error), factor, number(SMALLEST_FACTOR));
}

static inline void scale_of(const Lanes *lanes, const Row *row, const Step *step, real *scale) {
    for (int j = 0; j < N; j++)
        scale[j] = lanes->atol[j]
                   + lanes->rtol[j] * maximum(fabs_lanes(row->y[j]), fabs_lanes(step->y1[j]));
}

/* From the squares of both embedded errors, but for the factor of the step size. */
static real norm_of(real high, real low) {
    if (!DAMPED) return sqrt_lanes(high);
    real damped = high + number(0.01) * low;
    return blend(damped > 0, high / sqrt_lanes(damped), high);
}

/* What decides; a step with no control fails only where it is not finite. */
static real deciding_error(const Lanes *lanes, const Row *row, const Step *step) {
    real scale[N], high = number(0), low = number(0);
    if (!is_controlled(lanes)) return blend(all_finite(step->y1, N), number(0), number(NAN));
    scale_of(lanes, row, step, scale);
    embedded_error(step, scale, &high, &low);
    return fabs_lanes(row->h) * norm_of(high, low);
}

/* By how much a given step may miss where it should begin or end. */
static scalar slack_of(const Row *row, int l, scalar end) {
    scalar size = fabs(LANE(row->h, l)), t = fabs(LANE(row->t, l)), largest = fabs(end);
    return (STRETCH_GIVEN - 1) * size + 64 * EPSILON * (t > largest ? t : largest);
}

static void aim_given(const Lanes *lanes, Row *row, int l) {
    const Task *task = &lanes->task[l];
    scalar t = LANE(lanes->t, l), end = LANE(lanes->end, l);
    LANE(row->t, l) = LANE(row->t1, l) = t, LANE(row->h, l) = 0, TRUTH(row->reaches, l) = 0;
    if (!TRUTH(lanes->running, l)) return;
    long attempts = TRUTH(lanes->attempts, l);
    const scalar *given = task->steps + 2 * (attempts / task->pieces);
    scalar h = LANE(row->h, l) = given[1] / task->pieces;
    if (h == 0) return;
    t = LANE(row->t, l) = given[0] + attempts % task->pieces * h;
    int reaches = t + h >= end - slack_of(row, l, end);
    TRUTH(row->reaches, l) = reaches ? YES : 0;
    LANE(row->t1, l) = reaches ? end : t + h;
}

/* The step to try. */
static void aim(const Lanes *lanes, Row *row) {
    memcpy(row->y, lanes->y, sizeof(row->y));
    memcpy(row->stop, lanes->stop, sizeof(row->stop));
    memcpy(row->saved, lanes->saved, sizeof(row->saved));
    if (lanes->control == GIVEN) {
        EACH_LANE aim_given(lanes, row, l);
        return;
    }
    row->t = lanes->t;
    row->reaches = lanes->t + lanes->stretch * lanes->size >= lanes->end;
    row->h = blend(row->reaches, lanes->end - lanes->t, lanes->size);
    row->t1 = blend(row->reaches, lanes->end, lanes->t + row->h);
}

/* Whether a given step goes on from where the last one ended, and the last one arrives. */
static int fits(const Lanes *lanes, const Row *row, int l, scalar before, int finished) {
    const Task *task = &lanes->task[l];
    scalar t = LANE(row->t, l), h = LANE(row->h, l), end = task->stop_times[row->stop[l]];
    scalar slack = slack_of(row, l, end);
    int follows = h == 0 || (fabs(t - before) <= slack && t + h <= end + slack && h > 0);
    return follows && (!finished || LANE(row->t1, l) >= task->stop_times[task->last_stop]);
}
