/* The reverse sweep over the accepted steps, and what they add to the estimates. */

/* The cotangents of states and parameters, and what they were where lanes are left as they are. */
typedef struct { real w[N], dp[P], old_w[N], old_dp[P]; Back back; } Sweep;

/* To be changed in some lanes only: called before, and with the new values after. */
static void leave(Sweep *sweep, truth which) {
    if (!any(no(which))) return;
    memcpy(sweep->old_w, sweep->w, sizeof(sweep->w));
    memcpy(sweep->old_dp, sweep->dp, sizeof(sweep->dp));
}

static void changed(Sweep *sweep, truth which) {
    if (!any(no(which))) return;
    for (int j = 0; j < N; j++) sweep->w[j] = blend(which, sweep->w[j], sweep->old_w[j]);
    for (int j = 0; j < P; j++) sweep->dp[j] = blend(which, sweep->dp[j], sweep->old_dp[j]);
}

/* What the sums of the terms are divided by. */
static real divisor(const Lanes *lanes) {
    real count = number(1);
    EACH_LANE if (lanes->reduction == MEAN && TRUTH(lanes->accepted, l) > 0)
        LANE(count, l) = TRUTH(lanes->accepted, l);
    return count;
}

static void follow(Lanes *lanes, const int *stop) {
    EACH_LANE if (lanes->stop[l] != stop[l]) set_stop(lanes, l, stop[l]);
}

/* The steps of a window again, so that all that belongs to them is at hand. */
static void take_window(Lanes *lanes, const Record *record, long first, long last) {
    const Start *start = &record->starts[first / record->length];
    lanes->t = start->t;
    memcpy(lanes->y, start->y, sizeof(lanes->y));
    memcpy(lanes->slope, start->slope, sizeof(lanes->slope));
    follow(lanes, start->stop);
    EACH_LANE set_saved(lanes, l, start->saved[l]);
    for (long i = first; i < last; i++) {
        Taken *taken = taken_at(record, i);
        Row *row = &taken->row;
        Trace trace = record->traces[i];
        row->t = trace.t, row->h = trace.h, row->accepted = trace.accepted;
        row->reaches = trace.reaches;
        row->t1 = blend(row->reaches, lanes->end, row->t + row->h);
        memcpy(row->y, lanes->y, sizeof(row->y));
        memcpy(row->stop, lanes->stop, sizeof(row->stop));
        memcpy(row->saved, lanes->saved, sizeof(row->saved));
        take(lanes, row, lanes->slope, lanes->side, &taken->step);
        row->saves = row->accepted & (lanes->next_save < row->t1);
        if (any(row->saves)) {
            pass_saves(lanes, row);
            dense_stages(lanes, row, lanes->side, &taken->step);
            EACH_LANE set_saved(lanes, l, row->passed[l]);
        }
        advance(lanes, row, &taken->step);
        truth passes = row->accepted & row->reaches;
        if (!any(passes)) continue;
        jumps_at(lanes, row->stop, passes, row->t1, lanes->y);
        pass_stops(lanes, passes);
    }
}

/* The window that ends with a step, at hand: the last one was kept, older ones are taken again. */
static int at_hand(Lanes *lanes, Record *record, Taken **room, long first, long last) {
    if (last == record->count) return OK;
    if (!*room) *room = room_of(record->length * sizeof(Taken));
    if (!*room) return FAILED;
    record->window = *room;
    take_window(lanes, record, first, last);
    return OK;
}

/* The cotangents before the jumps at the stops where some lanes are. */
static void jumps_back(const Lanes *lanes, const int *stop, truth there, real t, const real *y,
                       Sweep *sweep) {
    if (!JUMPS) return;
    int count = lanes->jumps_a_stop, numbers[W];
    real at[count + 1][N], z[N];
    memcpy(at[0], y, sizeof(z));
    for (int k = 0; k < count; k++) {
        memcpy(at[k + 1], at[k], sizeof(z));
        jumps_there(lanes, stop, there, k, numbers);
        one_jump(lanes, numbers, t, at[k + 1]);
    }
    while (count-- > 0) {
        jumps_there(lanes, stop, there, count, numbers);
        EACH_LANE if (numbers[l] >= 0) {
            int i = numbers[l];
            truth same = alike(numbers, l);
            memset(z, 0, sizeof(z));
            leave(sweep, same);
            jump_back(i, t, at[count], lanes->p, sweep->w, z, sweep->dp);
            memcpy(sweep->w, z, sizeof(z));
            changed(sweep, same);
        }
    }
}

/* The terms E |h|, E^2 and S |h| of the estimates over all steps; the steps of the largest. */
static int estimated(Lanes *lanes, Record record, real *totals, long (*largest)[W]) {
    Taken *room = NULL;
    int status = OK;
    memset(totals, 0, 3 * sizeof(real)), memset(largest, 0, 3 * sizeof(*largest));
    for (long last = record.count, first; last > 0 && status == OK; last = first) {
        first = (last - 1) / record.length * record.length;
        status = at_hand(lanes, &record, &room, first, last);
        for (long i = last - 1; i >= first && status == OK; i--) {
            const Row *row = &taken_at(&record, i)->row;
            real terms[3];
            if (BREAKS) follow(lanes, row->stop);
            step_terms(lanes, row, lanes->side, &taken_at(&record, i)->step, terms);
            for (int k = 0; k < 3; k++) {
                truth larger = row->accepted & (terms[k] >= totals[k]);
                if (lanes->reduction != MAX)
                    totals[k] += blend(row->accepted, terms[k], number(0));
                else totals[k] = blend(larger, terms[k], totals[k]);
                EACH_LANE if (TRUTH(larger, l)) largest[k][l] = i;
            }
        }
    }
    for (int k = 0; k < 3; k++) totals[k] /= divisor(lanes);
    free(room);
    return status;
}

/* The cotangents of a step's terms; of the largest terms, where they are those of the step. */
static void share(const Lanes *lanes, const real *shares, long (*largest)[W], long i,
                  real *dterms) {
    memcpy(dterms, shares, 3 * sizeof(real));
    for (int k = 0; k < 3 && lanes->reduction == MAX; k++)
        EACH_LANE if (largest[k][l] != i) LANE(dterms[k], l) = 0;
}

static void row_back(Lanes *lanes, const Taken *taken, const real *dterms, Sweep *sweep) {
    const Row *row = &taken->row;
    if (BREAKS) follow(lanes, row->stop);
    truth passes = row->accepted & row->reaches;
    if (JUMPS && any(passes))
        jumps_back(lanes, row->stop, passes, row->t1, taken->step.y1, sweep);
    leave(sweep, row->accepted);
    step_back(lanes, row, lanes->side, &taken->step, &sweep->back, dterms, sweep->w, sweep->dp);
    changed(sweep, row->accepted);
}

/* Adds the cotangents of the saves at and behind the end of the steps. */
static void begin_back(const Lanes *lanes, Sweep *sweep) {
    memset(sweep, 0, sizeof(*sweep));
    EACH_LANE for (long m = 0; m < lanes->saves; m++)
        if (m == lanes->saves - 1 || lanes->task[l].save_at[m] >= lanes->report[l]->t)
            for (int j = 0; j < N; j++) LANE(sweep->w[j], l) += lanes->dys[l][m * N + j];
}

/* The cotangents of the start and of the parameters, from those of the saves and of the estimates,
   of which there may be none. */
static int reverse(Lanes *lanes, Record record, const real *dtotals, Sweep *sweep) {
    real totals[3], shares[3], dterms[3];
    long largest[3][W];
    Taken *room = NULL;
    int status = OK;
    begin_back(lanes, sweep);
    for (int k = 0; dtotals && k < 3; k++) shares[k] = dtotals[k] / divisor(lanes);
    if (dtotals && lanes->reduction == MAX) status = estimated(lanes, record, totals, largest);
    for (long last = record.count, first; last > 0 && status == OK; last = first) {
        first = (last - 1) / record.length * record.length;
        status = at_hand(lanes, &record, &room, first, last);
        for (long i = last - 1; i >= first && status == OK; i--) {
            if (dtotals) share(lanes, shares, largest, i, dterms);
            row_back(lanes, taken_at(&record, i), dtotals ? dterms : NULL, sweep);
        }
    }
    free(room);
    return status;
}
