/* Steps forward, until every trajectory has ended. */

/* Where on a step the m-th of its saves is; whether any lane has one. */
static int save_on(const Lanes *lanes, const Row *row, int m, real *x) {
    int found = 0;
    *x = number(0);
    EACH_LANE {
        int save = row->saved[l] + m;
        if (!TRUTH(row->saves, l) || save >= row->passed[l]) continue;
        LANE(*x, l) = (lanes->task[l].save_at[save] - LANE(row->t, l)) / LANE(row->h, l);
        found = 1;
    }
    return found;
}

/* The cotangents of the m-th saves on a step. */
static void cotangents_on(const Lanes *lanes, const Row *row, int m, real *d) {
    EACH_LANE {
        long save = row->saved[l] + m;
        int there = TRUTH(row->saves, l) && save < row->passed[l];
        for (int j = 0; j < N; j++) LANE(d[j], l) = there ? lanes->dys[l][save * N + j] : 0;
    }
}

/* Counts the saves on a step. */
static void pass_saves(const Lanes *lanes, Row *row) {
    EACH_LANE {
        const scalar *save_at = lanes->task[l].save_at;
        int saved = row->saved[l];
        while (TRUTH(row->saves, l) && saved < lanes->saves - 1 && save_at[saved] < LANE(row->t1, l))
            saved++;
        row->passed[l] = saved;
    }
}

static void write_saves(Lanes *lanes, Row *row, Step *step) {
    real x, y[N];
    pass_saves(lanes, row);
    dense_stages(lanes, row, lanes->side, step);
    for (int m = 0; save_on(lanes, row, m, &x); m++) {
        dense_value(step, row->y, row->h, x, y);
        EACH_LANE if (TRUTH(row->saves, l) && row->saved[l] + m < row->passed[l])
            for (int j = 0; j < N; j++)
                lanes->ys[l][(long)(row->saved[l] + m) * N + j] = LANE(y[j], l);
    }
    EACH_LANE if (TRUTH(row->saves, l)) set_saved(lanes, l, row->passed[l]);
}

/* The lanes with the same number as lane l, which lose it. */
static truth alike(int *numbers, int l) {
    truth same = {0};
    for (int i = W - 1; i >= l; i--)
        if (numbers[i] == numbers[l]) TRUTH(same, i) = YES;
    for (int i = l; i < W; i++)
        if (TRUTH(same, i)) numbers[i] = -1;
    return same;
}

/* The number of the k-th jump at the stops where some lanes are. */
static void jumps_there(const Lanes *lanes, const int *stop, truth there, int k, int *numbers) {
    EACH_LANE numbers[l] = TRUTH(there, l)
                               ? lanes->task[l].jumps[stop[l] * lanes->jumps_a_stop + k] : -1;
}

static void one_jump(const Lanes *lanes, int *numbers, real t, real *y) {
    real z[N];
    EACH_LANE if (numbers[l] >= 0) {
        int i = numbers[l];
        truth same = alike(numbers, l);
        jump(i, t, y, lanes->p, z);
        for (int j = 0; j < N; j++) y[j] = blend(same, z[j], y[j]);
    }
}

static void jumps_at(const Lanes *lanes, const int *stop, truth there, real t, real *y) {
    int numbers[W];
    for (int k = 0; JUMPS && k < lanes->jumps_a_stop; k++) {
        jumps_there(lanes, stop, there, k, numbers);
        one_jump(lanes, numbers, t, y);
    }
}

/* On to the stop after the one that was passed. */
static void pass_stops(Lanes *lanes, truth passes) {
    EACH_LANE if (TRUTH(passes, l) && lanes->stop[l] < lanes->task[l].last_stop)
        set_stop(lanes, l, lanes->stop[l] + 1);
    if (BREAKS || JUMPS) set_slope(lanes, passes);
}

static void finish(Lanes *lanes, int l, int status) {
    Report found = {TRUTH(lanes->accepted, l), TRUTH(lanes->attempts, l), status, LANE(lanes->t, l)};
    *lanes->report[l] = found;
    TRUTH(lanes->running, l) = 0, lanes->occupied--;
    for (long m = lanes->saved[l]; status == OK && m < lanes->saves; m++)
        for (int j = 0; j < N; j++) lanes->ys[l][m * N + j] = LANE(lanes->y[j], l);
}

/* Where things stand after an attempt. */
typedef struct { truth failed, passes, stuck; real error, before; } Outcome;

/* Which trajectories end with an attempt. */
static void settle(Lanes *lanes, const Row *row, const Outcome *outcome) {
    EACH_LANE if (TRUTH(lanes->running, l)) {
        const Task *task = &lanes->task[l];
        long attempts = TRUTH(lanes->attempts, l);
        int given = lanes->control == GIVEN, broken = !isfinite(LANE(outcome->error, l));
        int finished = given ? attempts >= task->taken * task->pieces
                             : TRUTH(outcome->passes, l) && row->stop[l] == task->last_stop;
        int status = finished ? OK : attempts >= lanes->max_steps ? MAX_STEPS : RUNNING;
        if (TRUTH(outcome->stuck, l))
            status = TRUTH(outcome->failed, l) ? LINEAR_SOLVE : broken ? NONFINITE : STEP_TOO_SMALL;
        if (given && !fits(lanes, row, l, LANE(outcome->before, l), finished)) status = FAILED;
        if (status != RUNNING) finish(lanes, l, status);
    }
}

static void keep(Lanes *lanes, const Record *record, const Row *row) {
    if (record->length)
        record->traces[record->count] = (Trace){row->t, row->h, row->accepted, row->reaches};
    EACH_LANE if (lanes->steps[l] && TRUTH(row->accepted, l)) {
        scalar *to = lanes->steps[l] + 2 * (TRUTH(lanes->accepted, l) - 1);
        to[0] = LANE(row->t, l), to[1] = LANE(row->h, l);
    }
}

static void begin_window(const Lanes *lanes, const Record *record) {
    if (!record->length || record->count % record->length) return;
    Start *start = &record->starts[record->count / record->length];
    start->t = lanes->t;
    memcpy(start->y, lanes->y, sizeof(start->y));
    memcpy(start->slope, lanes->slope, sizeof(start->slope));
    memcpy(start->stop, lanes->stop, sizeof(start->stop));
    memcpy(start->saved, lanes->saved, sizeof(start->saved));
}

/* A step that was taken, where it is accepted. */
static void advance(Lanes *lanes, Row *row, const Step *step) {
    for (int j = 0; j < N; j++) {
        lanes->y[j] = blend(row->accepted, step->y1[j], lanes->y[j]);
        lanes->slope[j] = blend(row->accepted, step->k[SLOPE][j], lanes->slope[j]);
    }
    lanes->t = blend(row->accepted, row->t1, lanes->t);
}

static void attempt(Lanes *lanes, Record *record) {
    Taken *taken = taken_at(record, record->count);
    Row *row = &taken->row;
    Step *step = &taken->step;
    Outcome outcome = {.before = lanes->t};
    begin_window(lanes, record);
    aim(lanes, row);
    outcome.failed = take(lanes, row, lanes->slope, lanes->side, step);
    real error = blend(outcome.failed, number(INFINITY), deciding_error(lanes, row, step));
    truth accepted = row->accepted = lanes->running & (error <= 1);
    truth passes = outcome.passes = accepted & row->reaches;
    if (is_controlled(lanes)) {
        real proposal = row->h * next_factor(error, lanes->previous_error);
        proposal = blend(passes, maximum(proposal, lanes->size), proposal);
        lanes->size = limited(lanes, short_size_lanes(proposal));
    }
    lanes->attempts += lanes->running & 1, lanes->accepted += accepted & 1;
    lanes->previous_error =
        blend(accepted, maximum(error, number(SMALLEST_ERROR)), lanes->previous_error);
    row->saves = accepted & (lanes->next_save < row->t1);
    outcome.error = error;
    real t = blend(accepted, row->t1, lanes->t);
    outcome.stuck = is_controlled(lanes)
                        ? no(accepted) & (lanes->size <= 16 * EPSILON * fabs_lanes(t))
                        : no(is_finite(error));
    truth last = lanes->attempts >= (bits)lanes->max_steps;
    int special = lanes->control == GIVEN
                  || any(lanes->running & (row->saves | passes | outcome.stuck | last));
    if (special && any(row->saves)) write_saves(lanes, row, step);
    advance(lanes, row, step);
    if (any(accepted)) keep(lanes, record, row), record->count++;
    if (!special) return;
    if (any(passes)) jumps_at(lanes, row->stop, passes, row->t1, lanes->y);
    settle(lanes, row, &outcome);
    if (any(passes)) pass_stops(lanes, passes);
}

/* Lanes whose trajectories begin: their start and operands are there. */
static void begin(Lanes *lanes, truth fresh) {
    const scalar endless = INFINITY;
    EACH_LANE if (TRUTH(fresh, l)) {
        const Task *task = &lanes->task[l];
        LANE(lanes->t, l) = task->t0, LANE(lanes->previous_error, l) = SMALLEST_ERROR;
        LANE(lanes->max_step, l) = isnan(task->max_step) ? endless : task->max_step;
        LANE(lanes->stretch, l) = ADAPTIVE && lanes->control == BY_ERROR && isnan(task->max_step)
                                      ? STRETCH : STRETCH_GIVEN;
        TRUTH(lanes->attempts, l) = TRUTH(lanes->accepted, l) = 0;
        TRUTH(lanes->running, l) = YES, lanes->occupied++;
        set_stop(lanes, l, task->first_stop), set_saved(lanes, l, 0);
    }
    set_slope(lanes, fresh);
    lanes->size = blend(fresh, first_size(lanes), lanes->size);
    truth sane = all_finite(lanes->y, N) & all_finite(lanes->slope, N);
    EACH_LANE if (TRUTH(fresh, l) && (!lanes->task[l].sound || !TRUTH(sane, l)))
        finish(lanes, l, lanes->task[l].sound ? NONFINITE : FAILED);
}
