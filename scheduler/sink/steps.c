/* From the snapshot that a sink has reached to the table's head, snapshot by snapshot: what opened
 * and closed again between two runs is told too. */
#include "scheduler/sink/sink_int.h"

#include <string.h>

/* How main's ancestry leads from the head to a snapshot. */
enum chain {
    CHAIN_WHOLE,
    CHAIN_CUT, /* ancestors in between have been expired */
    CHAIN_NONE /* it is no ancestor: main was set back, or to another line */
};

static enum chain chain_find(const struct weir_metadata *metadata, int64_t from, int64_t head,
                             size_t *ret_count)
{
    struct weir_snapshot snapshot;
    int64_t at = head;
    size_t count = 0;
    while (at != from && at > 0 && weir_metadata_snapshot(metadata, at, &snapshot)) {
        count++;
        at = snapshot.parent_id;
    }
    *ret_count = count;
    return at == from ? CHAIN_WHOLE : at > 0 ? CHAIN_CUT : CHAIN_NONE;
}

/* Sequence numbers grow with the table's commits; not those of v1 tables, nor of a head that was
 * set back. */
static struct step step_to(const struct weir_metadata *metadata, int64_t from, int64_t to,
                           int64_t version_before)
{
    struct weir_snapshot snapshot = {0};
    weir_metadata_snapshot(metadata, to, &snapshot);
    return (struct step){.from = from,
                         .to = to,
                         .version = snapshot.sequence_number > version_before &&
                                            snapshot.sequence_number < INT64_MAX / 2
                                        ? snapshot.sequence_number
                                        : version_before + 1,
                         .committed_ms = snapshot.timestamp_ms,
                         .nothing = snapshot.operation &&
                                    strcmp(snapshot.operation, "replace") == 0,
                         .leap = snapshot.parent_id != from};
}

/* Rows that retention dropped are no news to a sink that does not ask for them. */
static void pass_over_retention(const struct weir_metadata *metadata, struct step *steps,
                                size_t count)
{
    struct weir_snapshot snapshot;
    for (size_t i = 0; i < count; i++) {
        const char *kind = weir_metadata_snapshot(metadata, steps[i].to, &snapshot)
                               ? json_string_value(json_object_get(snapshot.summary, "weir.kind"))
                               : NULL;
        steps[i].nothing |= !steps[i].leap && kind && strcmp(kind, "retention") == 0;
    }
}

/* How many of the chain's first steps lead to what was committed before `from`: it is no ancestor
 * then, but main was set back, and the way between is gone. What they did was told before. */
static size_t steps_known(const struct weir_metadata *metadata, int64_t from,
                          const struct step *steps, size_t count)
{
    struct weir_snapshot snapshot, base;
    size_t known = 0;
    if (!weir_metadata_snapshot(metadata, from, &base))
        return 0;
    while (known + 1 < count && weir_metadata_snapshot(metadata, steps[known].to, &snapshot) &&
           snapshot.sequence_number < base.sequence_number)
        known++;
    return known;
}

/* Behind `from`: each ancestor of the head a step. The first one leads over what is gone; where
 * there is no way, or nothing was sent yet, one step is the difference of the ends. */
static size_t steps_behind(const struct weir_metadata *metadata, int64_t from, int64_t head,
                           int64_t version, struct step *steps)
{
    size_t count;
    enum chain chain = chain_find(metadata, from, head, &count);
    if (from == head)
        return 0;
    if (from == 0 || chain == CHAIN_NONE) {
        steps[0] = step_to(metadata, from, head, version);
        steps[0].nothing = false;
        return 1;
    }
    struct weir_snapshot snapshot;
    int64_t at = head;
    for (size_t i = count; i > 0; i--) {
        weir_metadata_snapshot(metadata, at, &snapshot);
        steps[i - 1].to = at;
        at = snapshot.parent_id;
    }
    size_t known = chain == CHAIN_CUT ? steps_known(metadata, from, steps, count) : 0;
    count -= known;
    for (size_t i = 0; i < count; i++) {
        steps[i] = step_to(metadata, from, steps[i + known].to, version);
        steps[i].nothing &= i > 0 || chain == CHAIN_WHOLE;
        from = steps[i].to;
        version = steps[i].version;
    }
    return count;
}

static weir_status must_be_there(const struct weir_table *table, int64_t reached,
                                 struct weir_error *reterr)
{
    struct weir_snapshot snapshot;
    if (reached == 0 || weir_metadata_snapshot(table->metadata, reached, &snapshot))
        return WEIR_OK;
    return weir_fail(
        reterr, WEIR_DECISION,
        "what was sent last (snapshot %lld of %s) has been expired: what changed since "
        "cannot be told",
        (long long)reached, table->name);
}

weir_status steps_find(const struct weir_table *table, const struct cursor *cursor,
                       bool tells_retention, struct weir_arena *arena, struct step **ret_steps,
                       size_t *ret_count, struct weir_error *reterr)
{
    const struct weir_metadata *metadata = table->metadata;
    struct weir_snapshot snapshot;
    int64_t head, from = cursor->reached, version = cursor->version;
    size_t total, count = 0;
    struct step *steps;
    if (!weir_metadata_ref(metadata, "main", &head))
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", table->name);
    WEIR_TRY(must_be_there(table, from, reterr));
    weir_metadata_snapshots(metadata, &total);
    WEIR_TRY(weir_arena_zero(arena, total + 2, sizeof *steps, &steps, reterr));
    /* A step that was begun is ended as it was: its changes have their ids already. */
    if (cursor->step.to && weir_metadata_snapshot(metadata, cursor->step.to, &snapshot)) {
        steps[0] = step_to(metadata, from, cursor->step.to, version);
        steps[0].version = version = cursor->step.version;
        steps[0].nothing = false;
        steps[0].noted = true;
        from = cursor->step.to;
        count = 1;
    }
    size_t behind = steps_behind(metadata, from, head, version, steps + count);
    if (!tells_retention)
        pass_over_retention(metadata, steps + count, behind);
    *ret_count = count + behind;
    *ret_steps = steps;
    return WEIR_OK;
}
