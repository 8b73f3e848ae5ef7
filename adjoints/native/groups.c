/* Trajectories that are solved with a record: so many side by side as there are lanes. */

typedef struct { long attempts, trajectory; } Place;

typedef struct {
    const Call *call;
    Place *places;
    long done;
    int count;
    long which[W];
    Report reports[W];
    Lanes *lanes;
    Record record;
    Sweep *sweep;
    void *room, *finer; /* for records: of the steps, and of their pieces */
    scalar *ys;
} Group;

static int by_attempts(const void *a, const void *b) {
    const Place *one = a, *other = b;
    return (one->attempts > other->attempts) - (one->attempts < other->attempts);
}

/* In the order in which they are solved: those that take as many attempts end together. */
static void put_in_order(Group *group, int known) {
    for (long i = 0; i < group->call->sizes[TRAJECTORIES]; i++) {
        const int *counts = known ? read(group->call, FOUND, i) : NULL;
        group->places[i] = (Place){counts ? counts[ATTEMPTS] : 0, i};
    }
    if (known && W > 1) qsort(group->places, group->call->sizes[TRAJECTORIES], sizeof(Place), by_attempts);
}

static void free_group(Group *group) {
    free(group->places), free(group->lanes), free(group->sweep), free(group->room);
    free(group->finer), free(group->ys);
}

/* Whether there is room; the counts of a solve before are `known`. */
static int open_group(Group *group, const Call *call, int known) {
    long saves = call->settings[SAVES];
    *group = (Group){.call = call, .lanes = lanes_of(call)};
    group->places = malloc(call->sizes[TRAJECTORIES] * sizeof(Place));
    group->sweep = room_of(sizeof(Sweep));
    group->ys = malloc(W * saves * N * sizeof(scalar));
    if (group->lanes && group->places && group->sweep && group->ys)
        return put_in_order(group, known), 1;
    free_group(group);
    return 0;
}

/* The next trajectories in lanes. */
static int next_group(Group *group) {
    const Call *call = group->call;
    Lanes *lanes = group->lanes;
    long left = call->sizes[TRAJECTORIES] - group->done;
    group->count = left < W ? left : W;
    if (!left) return 0;
    EACH_LANE {
        const Place *place = &group->places[group->done + (l < group->count ? l : 0)];
        long i = group->which[l] = place->trajectory;
        load(lanes, call, l, i);
        lanes->report[l] = &group->reports[l];
        lanes->ys[l] = group->ys + l * lanes->saves * N;
    }
    group->done += group->count;
    return 1;
}

static void solve_group(Group *group, void **room, truth fresh) {
    Lanes *lanes = group->lanes;
    if (!*room) *room = room_of(record_bytes(lanes->max_steps, lanes->window));
    group->record = *room ? record_in(*room, lanes) : (Record){0};
    EACH_LANE if (!*room) group->reports[l].status = FAILED;
    if (!*room) return;
    begin(lanes, fresh);
    while (lanes->occupied) attempt(lanes, &group->record);
}

/* What the solve before found; solved again where its record was not kept. */
static int recall_group(Group *group, int broken_ones) {
    if (!next_group(group)) return 0;
    Lanes *lanes = group->lanes;
    truth fresh = {0};
    for (int l = 0; l < group->count; l++) {
        const int *counts = read(group->call, FOUND, group->which[l]);
        const scalar *end = read(group->call, END, group->which[l]);
        group->reports[l] = (Report){counts[ACCEPTED], counts[ATTEMPTS], counts[STATUS], *end};
        TRUTH(lanes->accepted, l) = counts[ACCEPTED];
        if (counts[STATUS] == OK || broken_ones) TRUTH(fresh, l) = YES;
    }
    const int *first = read(group->call, FOUND, group->which[0]);
    const void *kept = W == 1 && first[HAS_RECORD] ? read(group->call, RECORD, group->which[0]) : NULL;
    if (!kept) return solve_group(group, &group->room, fresh), 1;
    group->record = record_in((void *)kept, lanes);
    group->record.count = group->reports[0].accepted;
    return 1;
}

/* Out: the cotangents of start and parameters from those of the saves and, where there are any, of
   the estimates; NAN after a breakdown. */
void pull_back(const long *sizes, const void *const *in, const long *settings, void *const *out) {
    Call call = {sizes, in, settings, out};
    Group group;
    for (long i = 0; i < sizes[TRAJECTORIES]; i++) {
        fill(written(&call, 0, i), N);
        fill(written(&call, 1, i), P);
    }
    if (!open_group(&group, &call, 1)) return;
    while (recall_group(&group, 0)) {
        real dtotals[3];
        EACH_LANE {
            group.lanes->dys[l] = read(&call, DYS, group.which[l]);
            const scalar *given = read(&call, DTOTALS, group.which[l]);
            for (int k = 0; given && k < 3; k++) LANE(dtotals[k], l) = given[k];
        }
        int status = reverse(group.lanes, group.record, in[DTOTALS] ? dtotals : NULL, group.sweep);
        for (int l = 0; l < group.count && status == OK; l++) {
            if (group.reports[l].status != OK) continue;
            scalar *dy0 = written(&call, 0, group.which[l]);
            scalar *dp = written(&call, 1, group.which[l]);
            for (int j = 0; j < N; j++) dy0[j] = LANE(group.sweep->w[j], l);
            for (int j = 0; j < P; j++) dp[j] = LANE(group.sweep->dp[j], l);
        }
    }
    free_group(&group);
}

/* Out: the estimates of error, of its square, and of stiffness. */
void estimates(const long *sizes, const void *const *in, const long *settings, void *const *out) {
    Call call = {sizes, in, settings, out};
    Group group;
    for (long i = 0; i < sizes[TRAJECTORIES]; i++) fill(written(&call, 0, i), 3);
    if (!open_group(&group, &call, 1)) return;
    while (recall_group(&group, 1)) {
        real totals[3];
        long largest[3][W];
        if (estimated(group.lanes, group.record, totals, largest) != OK) continue;
        for (int l = 0; l < group.count; l++) {
            scalar *to = written(&call, 0, group.which[l]);
            for (int k = 0; k < 3; k++) to[k] = LANE(totals[k], l);
        }
    }
    free_group(&group);
}
