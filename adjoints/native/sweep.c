/* The reverse sweep over the accepted steps, and what they add to the estimates. */

/* What the sums of the terms are divided by. */
static real divisor(const Task *task, const Report *report) {
    return task->reduction == MEAN && report->accepted > 0 ? report->accepted : 1;
}

/* The steps of a window again, so that all that belongs to them is at hand. */
static void take_window(const Task *task, const Record *record, long first, long last) {
    const Start *start = &record->starts[first / record->length];
    real y[N], slope[N], t = start->t;
    int stop = start->stop, saved = start->saved;
    memcpy(y, start->y, sizeof(y));
    Limits side = limits_at(task, stop);
    f(clip(t, side), y, task->p, slope);
    for (long i = first; i < last; i++) {
        Taken *taken = taken_at(record, i);
        Row *row = &taken->row;
        row->stop = stop, row->saved = saved, row->reaches = record->reaches[i];
        row->t = record->steps[2 * i], row->h = record->steps[2 * i + 1];
        row->t1 = row->reaches ? task->stop_times[stop] : row->t + row->h;
        memcpy(row->y, y, sizeof(y));
        take(task, row, slope, side, &taken->step);
        row->passed = saved = passed_before(task, row->t1, saved);
        if (row->passed > row->saved) dense_stages(task, row, side, &taken->step);
        memcpy(y, taken->step.y1, sizeof(y));
        memcpy(slope, taken->step.k[SLOPE], sizeof(slope));
        t = row->t1;
        if (!row->reaches) continue;
        jumps_at(task, stop, t, y);
        if (stop < task->last_stop) side = limits_at(task, ++stop);
        if (BREAKS || JUMPS) f(clip(t, side), y, task->p, slope);
    }
}

/* The cotangents of state and parameters before the jumps at a stop. */
static void jumps_back(const Task *task, int stop, real t, const real *y, real *w, real *dp) {
    if (!JUMPS) return;
    real at[JUMPS + 1][N], z[N];
    const int *jumps = task->jumps + stop * task->jumps_a_stop;
    int count = 0;
    memcpy(at[0], y, sizeof(z));
    for (; count < task->jumps_a_stop && jumps[count] >= 0; count++)
        jump(jumps[count], t, at[count], task->p, at[count + 1]);
    while (count-- > 0) {
        memset(z, 0, sizeof(z));
        jump_back(jumps[count], t, at[count], task->p, w, z, dp);
        memcpy(w, z, sizeof(z));
    }
}

/* The window that ends with a step, at hand: the last one was kept, older ones are taken again. */
static int at_hand(const Task *task, const Report *report, Record *record, Taken **room,
                   long first, long last) {
    if (last == report->accepted) return OK;
    if (!*room) *room = malloc(record->length * sizeof(Taken));
    if (!*room) return FAILED;
    record->window = *room;
    take_window(task, record, first, last);
    return OK;
}

/* The terms E |h|, E^2 and S |h| of the estimates over all steps; the steps of the largest. */
static int estimated(const Task *task, const Report *report, Record record, real *totals,
                     long *largest) {
    Taken *room = NULL;
    int status = OK;
    totals[0] = totals[1] = totals[2] = 0;
    largest[0] = largest[1] = largest[2] = 0;
    for (long last = report->accepted, first; last > 0 && status == OK; last = first) {
        first = (last - 1) / record.length * record.length;
        status = at_hand(task, report, &record, &room, first, last);
        for (long i = last - 1; i >= first && status == OK; i--) {
            const Taken *taken = taken_at(&record, i);
            real terms[3];
            step_terms(task, &taken->row, limits_at(task, taken->row.stop), &taken->step, terms);
            for (int k = 0; k < 3; k++) {
                if (task->reduction != MAX) totals[k] += terms[k];
                else if (terms[k] >= totals[k]) totals[k] = terms[k], largest[k] = i;
            }
        }
    }
    for (int k = 0; k < 3; k++) totals[k] /= divisor(task, report);
    free(room);
    return status;
}

/* The cotangent of the start, from those of the saves and of the estimates, of which there may be
   none; adds to that of the parameters. */
static int reverse(const Task *task, const Report *report, Record record, const real *dys,
                   const real *dtotals, real *w, real *dp) {
    real totals[3], dterms[3];
    long largest[3];
    Back *back = malloc(sizeof(Back));
    Taken *room = NULL;
    int status = back ? OK : FAILED;
    if (dtotals && task->reduction == MAX && status == OK)
        status = estimated(task, report, record, totals, largest);
    memset(w, 0, sizeof(real) * N);
    for (long m = 0; m < task->saves; m++)
        if (m == task->saves - 1 || task->save_at[m] >= report->t)
            for (int j = 0; j < N; j++) w[j] += dys[m * N + j];
    for (long last = report->accepted, first; last > 0 && status == OK; last = first) {
        first = (last - 1) / record.length * record.length;
        status = at_hand(task, report, &record, &room, first, last);
        for (long i = last - 1; i >= first && status == OK; i--) {
            const Taken *taken = taken_at(&record, i);
            const Row *row = &taken->row;
            if (row->reaches)
                jumps_back(task, row->stop, row->t1, taken->step.y1, w, dp);
            for (int k = 0; dtotals && k < 3; k++)
                dterms[k] = task->reduction == MAX && largest[k] != i
                                ? 0 : dtotals[k] / divisor(task, report);
            step_back(task, row, limits_at(task, row->stop), &taken->step, back, dys,
                      dtotals ? dterms : NULL, w, dp);
        }
    }
    free(back), free(room);
    return status;
}
