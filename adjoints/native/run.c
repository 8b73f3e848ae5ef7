/* Losses and gradients of a problem whose loss is known. */

/* The recorded steps of a lane, joined in pairs between stops if so asked; how many there are. */
static long steps_of(const Record *record, int l, int join, scalar *steps) {
    long count = 0;
    int open = 0;
    for (long i = 0; i < record->count; i++) {
        Trace trace = record->traces[i];
        if (!TRUTH(trace.accepted, l)) continue;
        if (open) steps[2 * count - 1] += LANE(trace.h, l);
        else steps[2 * count] = LANE(trace.t, l), steps[2 * count++ + 1] = LANE(trace.h, l);
        open = join && !open && !TRUTH(trace.reaches, l);
    }
    return count;
}

/* The recorded steps again from y0, each in so many pieces; in none, joined in pairs. */
static int again(Group *group, const real *y0, truth which, int pieces) {
    Lanes *lanes = group->lanes;
    long most = group->record.count;
    scalar *steps = malloc(2 * W * most * sizeof(scalar));
    if (!steps) return FAILED;
    lanes->control = GIVEN, lanes->max_steps = most * (pieces ? pieces : 1);
    EACH_LANE {
        Task *task = &lanes->task[l];
        task->steps = steps + 2 * l * most, task->pieces = pieces ? pieces : 1;
        task->taken = steps_of(&group->record, l, !pieces, steps + 2 * l * most);
    }
    free(group->finer), group->finer = NULL;
    memcpy(lanes->y, y0, sizeof(lanes->y));
    solve_group(group, &group->finer, which);
    free(steps);
    return OK;
}

/* The losses of a group, and the cotangents of its saves in their place. */
static void losses(Group *group, real *ys, scalar *found) {
    const Lanes *lanes = group->lanes;
    long size = lanes->saves * N, stride = 1 + N + P;
    real value, *dys = ys + size, *dp = dys + size;
    for (long i = 0; i < size; i++) EACH_LANE LANE(ys[i], l) = lanes->ys[l][i];
    loss_value(ys, lanes->p, &value);
    loss_gradient(ys, lanes->p, dys, dp);
    for (int l = 0; l < group->count; l++) {
        if (group->reports[l].status != OK) continue;
        scalar *to = found + group->which[l] * stride;
        to[0] = LANE(value, l);
        for (int j = 0; j < P; j++) to[1 + N + j] = LANE(dp[j], l);
        for (long i = 0; i < size; i++) lanes->ys[l][i] = LANE(dys[i], l);
    }
}

/* Before the first stop, where that is the start. */
static truth stops_at_start(const Lanes *lanes, int *stop) {
    truth there = {0};
    EACH_LANE {
        stop[l] = lanes->task[l].first_stop - 1;
        TRUTH(there, l) = stop[l] >= 0 ? YES : 0;
    }
    return there;
}

static void gradients(Group *group, scalar *found) {
    Lanes *lanes = group->lanes;
    Sweep *sweep = group->sweep;
    int stop[W];
    real start[N], t0;
    EACH_LANE {
        const Task *task = &lanes->task[l];
        LANE(t0, l) = task->t0, lanes->dys[l] = lanes->ys[l];
        for (int j = 0; j < N; j++) LANE(start[j], l) = task->start[j];
    }
    if (reverse(lanes, group->record, NULL, sweep) != OK) return;
    jumps_back(lanes, stop, stops_at_start(lanes, stop), t0, start, sweep);
    for (int l = 0; l < group->count; l++) {
        if (group->reports[l].status != OK) continue;
        scalar *to = found + group->which[l] * (1 + N + P) + 1;
        for (int j = 0; j < N; j++) to[j] = LANE(sweep->w[j], l);
        for (int j = 0; j < P; j++) to[N + j] += LANE(sweep->dp[j], l);
    }
}

static void run_group(Group *group, int pieces, int wanted, real *ys, scalar *found, long *counts) {
    Lanes *lanes = group->lanes;
    int stop[W], status = OK;
    real y0[N], t0;
    truth fresh = {0};
    for (int l = 0; l < group->count; l++) TRUTH(fresh, l) = YES;
    EACH_LANE LANE(t0, l) = lanes->task[l].t0;
    jumps_at(lanes, stop, stops_at_start(lanes, stop), t0, lanes->y);
    memcpy(y0, lanes->y, sizeof(y0));
    solve_group(group, &group->room, fresh);
    for (int l = 0; l < group->count; l++) {
        long *to = counts + 4 * group->which[l];
        to[1] = group->reports[l].accepted, to[2] = group->reports[l].attempts;
        if (group->reports[l].status != OK) TRUTH(fresh, l) = 0;
    }
    if (pieces != 1 && any(fresh)) status = again(group, y0, fresh, pieces);
    for (int l = 0; l < group->count; l++) {
        counts[4 * group->which[l]] = status == OK ? group->reports[l].status : status;
        counts[4 * group->which[l] + 3] = group->reports[l].accepted;
    }
    if (status != OK) return;
    losses(group, ys, found);
    if (wanted) gradients(group, found);
}

/* Loss, gradient by the start and by the parameters of each trajectory into `found`, the gradient
   only where it is wanted; the starts of the steps of the first where there is room for them.
   Counts: how it ended, accepted steps and attempts, and the steps swept. */
void run(const long *sizes, const void *const *in, const long *settings, int pieces, int wanted,
         scalar *found, scalar *times, long *counts) {
    Call call = {sizes, in, settings};
    Group group;
    for (long i = 0; i < sizes[TRAJECTORIES]; i++) counts[4 * i] = FAILED;
    if (!open_group(&group, &call, 0)) return;
    real *ys = room_of((2 * N * settings[SAVES] + P) * sizeof(real));
    while (ys && next_group(&group)) {
        group.lanes->control = settings[CONTROL], group.lanes->max_steps = settings[MOST_STEPS];
        run_group(&group, pieces, wanted, ys, found, counts);
        for (long i = 0; times && i < group.record.count; i++)
            times[i] = LANE(group.record.traces[i].t, 0);
    }
    free(ys);
    free_group(&group);
}
