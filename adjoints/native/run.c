/* Loss and gradient of a problem whose loss is known. */

/* Room for the steps of a solve, with their record. */
static real *room_for(const Task *task) {
    return malloc(2 * sizeof(real) * task->max_steps
                  + record_bytes(task->max_steps, task->window));
}

static Record record_of(real *room, const Task *task) {
    return record_in((char *)(room + 2 * task->max_steps), task, room);
}

/* The steps of a record joined in pairs between stops; how many there are. */
static long joined(const Record *record, long count, real *steps) {
    long pairs = 0;
    for (long i = 0; i < count; i++, pairs++) {
        steps[2 * pairs] = record->steps[2 * i];
        steps[2 * pairs + 1] = record->steps[2 * i + 1];
        if (!record->reaches[i] && i + 1 < count) steps[2 * pairs + 1] += record->steps[2 * ++i + 1];
    }
    return pairs;
}

/* The recorded steps again, each in so many pieces; in none, joined in pairs. */
static void again(Task *task, const real *y0, const Record *record, long count, int pieces,
                  real **room, real *ys, Report *report) {
    real *steps = record->steps;
    if (!pieces) {
        steps = malloc(2 * sizeof(real) * count);
        if (steps) count = joined(record, count, steps);
    }
    task->steps = steps, task->taken = count, task->pieces = pieces ? pieces : 1;
    task->control = GIVEN, task->max_steps = task->taken * task->pieces;
    *room = room_for(task);
    Record finer = record_of(*room, task);
    if (*room && steps) forward(task, y0, &finer, ys, report);
    else report->status = FAILED;
    if (!pieces) free(steps);
}

/* Loss, gradient by the start and by the parameters into `found`, the gradient only where it is
   wanted; the times of the accepted steps where there is room for them. Counts: accepted steps and
   attempts, and the steps swept. Returns how it ended. */
int run(const void *const *in, const long *settings, int pieces, int wanted, real *found,
        real *times, long *counts) {
    Task task = task_of(in, settings);
    real y0[N], *dy0 = found + 1, *dp = dy0 + N, *room = room_for(&task), *finer = NULL;
    long size = N * task.saves;
    real *ys = malloc(2 * sizeof(real) * size), *dys = ys + size;
    Report report = {.status = FAILED};
    if (!ys || !room) return free(ys), free(room), FAILED;
    Record record = record_of(room, &task);
    memcpy(y0, in[START], sizeof(y0));
    if (task.first_stop) jumps_at(&task, task.first_stop - 1, task.t0, y0);
    forward(&task, y0, &record, ys, &report);
    counts[0] = report.accepted, counts[1] = report.attempts;
    for (long i = 0; times && i < report.accepted; i++) times[i] = record.steps[2 * i];
    if (report.status == OK && pieces != 1) {
        again(&task, y0, &record, report.accepted, pieces, &finer, ys, &report);
        record = record_of(finer, &task);
    }
    counts[2] = report.accepted;
    if (report.status == OK) loss_value(ys, task.p, found);
    if (report.status == OK && wanted) {
        loss_gradient(ys, task.p, dys, dp);
        report.status = reverse(&task, &report, record, dys, NULL, dy0, dp);
        if (task.first_stop)
            jumps_back(&task, task.first_stop - 1, task.t0, in[START], dy0, dp);
    }
    free(room), free(finer), free(ys);
    return report.status;
}
