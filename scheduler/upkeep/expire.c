/* Expiry: snapshots that the table's rule lets go are taken out of the metadata, some hundred in a
 * commit. Nothing is deleted: the sweeper finds what nothing reaches any more.
 *
 * Of every branch stay: its head; its newest ancestors by number and age, as the rule says or the
 * branch itself (min-snapshots-to-keep, max-snapshot-age-ms); and the newest ancestor that carries
 * what was reached, in any case (protocol.md 2). Of a tag stays its snapshot. A sink goes from its
 * tag to the head commit by commit, so these stay as well: a receiver that is away for long shows
 * as snapshots that pile up. What no ref reaches (a candidate that was dropped, the head before a
 * rollback) stays for the rule's age.
 *
 * The commit asserts each ref that was seen at where it was seen: one that moved, or came back to
 * life meanwhile, makes it lose; then all is looked at again. A tag made meanwhile on a snapshot
 * that goes is known to the catalogs that swap pointers, and our own tags on old snapshots move
 * main. */
#include "scheduler/upkeep/upkeep_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_MAX   500 /* snapshots that leave in one commit */
#define RACES_MAX   20
#define SINK_PREFIX "weir-at-sink."

struct expiry {
    const struct weir_upkeep_options *options;
    const struct weir_lifecycle_config *rule;
    const char *name; /* of the table, or of one beside it */
    struct weir_arena arena;
    struct weir_table *table;
    const struct weir_snapshot *snapshots; /* of the table as loaded, by id */
    size_t count;
    bool *kept;
    int64_t now_ms;
    int64_t removed, refs_removed, commits;
    const char *held_by; /* ref of the oldest snapshot that is kept beyond the rule */
    int64_t held_ms;
};

static int by_id(const void *a, const void *b)
{
    const struct weir_snapshot *one = a, *other = b;
    return (one->id > other->id) - (one->id < other->id);
}

/* Its place in the list; count = not there any more. */
static size_t place_of(const struct expiry *expiry, int64_t id)
{
    struct weir_snapshot wanted = {.id = id};
    const struct weir_snapshot *found = bsearch(&wanted, expiry->snapshots, expiry->count,
                                                sizeof wanted, by_id);
    return found ? (size_t)(found - expiry->snapshots) : expiry->count;
}

static bool is_old(const struct expiry *expiry, size_t at, int64_t age_ms)
{
    return age_ms >= 0 && expiry->snapshots[at].timestamp_ms < expiry->now_ms - age_ms;
}

/* Kept for a ref beside main: it is remembered when main's rule alone would have let it go. */
static void keep(struct expiry *expiry, size_t at, const char *ref)
{
    int64_t time = expiry->snapshots[at].timestamp_ms;
    if (ref && !expiry->kept[at] && (!expiry->held_by || time < expiry->held_ms)) {
        expiry->held_by = ref;
        expiry->held_ms = time;
    }
    expiry->kept[at] = true;
}

static int64_t limit_of(const json_t *ref, const char *name, int64_t fallback)
{
    const json_t *value = json_object_get(ref, name);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

static bool has_offsets(const struct weir_snapshot *snapshot)
{
    return json_object_get(snapshot->summary, "weir.next") != NULL;
}

/* Rows left by it long enough ago: those before it must not be reached any more, whatever at_least
 * says. A table that gets no commits would otherwise keep them for ever. */
static bool is_law(const struct expiry *expiry, size_t at, int64_t age_ms)
{
    const char *kind = json_string_value(
        json_object_get(expiry->snapshots[at].summary, "weir.kind"));
    return kind && strcmp(kind, "retention") == 0 && is_old(expiry, at, age_ms);
}

/* A branch: by number and age, nearest first. A rule of its own is nearer than the table's. */
static void keep_branch(struct expiry *expiry, const char *name, const json_t *ref)
{
    const struct weir_lifecycle_config *rule = expiry->rule;
    int64_t at_least = limit_of(ref, "min-snapshots-to-keep", rule->at_least),
            age_ms = limit_of(ref, "max-snapshot-age-ms", rule->snapshots_ms), number = 0;
    bool found = false;
    size_t at = place_of(expiry, json_integer_value(json_object_get(ref, "snapshot-id")));
    for (; at < expiry->count; at = place_of(expiry, expiry->snapshots[at].parent_id), number++) {
        if (is_law(expiry, at, age_ms) && at_least > number + 1)
            at_least = number + 1;
        bool too_many = rule->at_most && number >= rule->at_most,
             always = number < at_least || !found; /* the way to what was reached must be whole */
        found |= has_offsets(&expiry->snapshots[at]);
        if (always || (!too_many && !is_old(expiry, at, age_ms)))
            keep(expiry, at, strcmp(name, "main") == 0 ? NULL : name);
    }
}

/* From the head back to what a sink has reached. */
static void keep_way(struct expiry *expiry, const char *name, int64_t reached)
{
    const struct weir_metadata *metadata = expiry->table->metadata;
    int64_t head;
    if (!weir_metadata_ref(metadata, "main", &head) ||
        !weir_metadata_is_ancestor(metadata, reached, head))
        return;
    for (size_t at = place_of(expiry, head);
         at < expiry->count && expiry->snapshots[at].id != reached;
         at = place_of(expiry, expiry->snapshots[at].parent_id))
        keep(expiry, at, name);
}

static json_t *refs_of(const struct expiry *expiry)
{
    return json_object_get(weir_metadata_document(expiry->table->metadata), "refs");
}

/* A ref with an age of its own (max-ref-age-ms) goes when it is past; main never. */
static bool ref_is_past(const struct expiry *expiry, const char *name, const json_t *ref)
{
    int64_t age_ms = limit_of(ref, "max-ref-age-ms", -1);
    size_t at = place_of(expiry, json_integer_value(json_object_get(ref, "snapshot-id")));
    return strcmp(name, "main") != 0 && age_ms >= 0 && at < expiry->count &&
           is_old(expiry, at, age_ms);
}

static void keep_refs(struct expiry *expiry)
{
    const char *name;
    json_t *ref, *main = json_object_get(refs_of(expiry), "main");
    if (main)
        keep_branch(expiry, "main", main);
    json_object_foreach(refs_of(expiry), name, ref)
    {
        const char *type = json_string_value(json_object_get(ref, "type"));
        int64_t id = json_integer_value(json_object_get(ref, "snapshot-id"));
        size_t at = place_of(expiry, id);
        if (at == expiry->count || ref_is_past(expiry, name, ref))
            continue;
        if (!type || strcmp(type, "tag") != 0)
            keep_branch(expiry, name, ref);
        else
            keep(expiry, at, name);
        if (strncmp(name, SINK_PREFIX, strlen(SINK_PREFIX)) == 0)
            keep_way(expiry, name, id);
    }
}

/* What no ref reaches: nobody counts on it, and a moment ago somebody may have. */
static void keep_unreached(struct expiry *expiry, const bool *reached)
{
    int64_t age_ms = expiry->rule->snapshots_ms;
    for (size_t i = 0; i < expiry->count; i++)
        if (!reached[i] && !is_old(expiry, i, age_ms >= 0 ? age_ms : 86400000))
            expiry->kept[i] = true;
}

static weir_status note_reached(struct expiry *expiry, bool **ret_reached,
                                struct weir_error *reterr)
{
    const char *name;
    json_t *ref;
    WEIR_TRY(weir_arena_zero(&expiry->arena, expiry->count + 1, sizeof **ret_reached, ret_reached,
                             reterr));
    json_object_foreach(refs_of(expiry), name, ref)
    {
        size_t at = place_of(expiry, json_integer_value(json_object_get(ref, "snapshot-id")));
        for (; at < expiry->count && !(*ret_reached)[at];
             at = place_of(expiry, expiry->snapshots[at].parent_id))
            (*ret_reached)[at] = true;
    }
    return WEIR_OK;
}

/* What stays and what goes, of the table as it was loaded. */
static weir_status judge(struct expiry *expiry, struct weir_error *reterr)
{
    bool *reached;
    expiry->snapshots = weir_metadata_snapshots(expiry->table->metadata, &expiry->count);
    expiry->now_ms = weir_now_ms(expiry->options->lake->context);
    expiry->held_by = NULL;
    WEIR_TRY(weir_arena_zero(&expiry->arena, expiry->count + 1, sizeof *expiry->kept, &expiry->kept,
                             reterr));
    keep_refs(expiry);
    WEIR_TRY(note_reached(expiry, &reached, reterr));
    keep_unreached(expiry, reached);
    return WEIR_OK;
}

/* Oldest first, so that what a slice leaves is still one piece of history. */
static int by_time(const void *a, const void *b)
{
    const struct weir_snapshot *one = a, *other = b;
    return (one->timestamp_ms > other->timestamp_ms) - (one->timestamp_ms < other->timestamp_ms);
}

static weir_status going(struct expiry *expiry, struct weir_snapshot **ret_going, size_t *ret_count,
                         struct weir_error *reterr)
{
    struct weir_snapshot *list;
    size_t count = 0;
    WEIR_TRY(weir_arena_zero(&expiry->arena, expiry->count + 1, sizeof *list, &list, reterr));
    for (size_t i = 0; i < expiry->count; i++)
        if (!expiry->kept[i])
            list[count++] = expiry->snapshots[i];
    qsort(list, count, sizeof *list, by_time);
    *ret_going = list;
    *ret_count = count;
    return WEIR_OK;
}

static weir_status add_refs(struct expiry *expiry, struct weir_commit *commit, size_t *ret_past,
                            struct weir_error *reterr)
{
    const char *name;
    json_t *ref;
    *ret_past = 0;
    WEIR_TRY(weir_commit_require_uuid(commit, weir_metadata_uuid(expiry->table->metadata), reterr));
    json_object_foreach(refs_of(expiry), name, ref)
    {
        WEIR_TRY(weir_commit_require_ref(
            commit, name, json_integer_value(json_object_get(ref, "snapshot-id")), reterr));
        if (!ref_is_past(expiry, name, ref))
            continue;
        WEIR_TRY(weir_commit_update(
            commit, json_pack("{s:s, s:s}", "action", "remove-snapshot-ref", "ref-name", name),
            reterr));
        ++*ret_past;
    }
    return WEIR_OK;
}

static weir_status add_snapshots(struct weir_commit *commit, const struct weir_snapshot *list,
                                 size_t count, struct weir_error *reterr)
{
    json_t *ids = json_array();
    int failed = !ids;
    for (size_t i = 0; i < count; i++)
        failed |= json_array_append_new(ids, json_integer((json_int_t)list[i].id));
    if (failed) {
        json_decref(ids);
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a list of snapshots");
    }
    return weir_commit_update(
        commit, json_pack("{s:s, s:o}", "action", "remove-snapshots", "snapshot-ids", ids), reterr);
}

static weir_status reload(struct expiry *expiry, struct weir_error *reterr)
{
    struct weir_lake *lake = expiry->options->lake;
    struct weir_table *fresh;
    WEIR_TRY(lake->catalog.operations->load(lake->catalog.self, expiry->name, &fresh, reterr));
    weir_table_free(expiry->table);
    expiry->table = fresh;
    return WEIR_OK;
}

/* Sends a slice; *ret_landed false: somebody was faster or nobody knows, and the table is as it is
 * now. Asked again the same way it finds what is still there, so an answer that was lost is no
 * harm. */
static weir_status send(struct expiry *expiry, const struct weir_commit *commit, bool *ret_landed,
                        struct weir_error *reterr)
{
    struct weir_lake *lake = expiry->options->lake;
    struct weir_table *fresh;
    weir_status status = lake->catalog.operations->commit(lake->catalog.self, expiry->table, commit,
                                                          &fresh, reterr);
    *ret_landed = status == WEIR_OK;
    if (status == WEIR_OK) {
        weir_table_free(expiry->table);
        expiry->table = fresh;
        expiry->commits++;
        return WEIR_OK;
    }
    if (status != WEIR_PRECONDITION && status != WEIR_UNKNOWN_OUTCOME &&
        status != WEIR_UNAVAILABLE && status != WEIR_EXISTS)
        return status;
    return reload(expiry, reterr);
}

static weir_status expire_slice(struct expiry *expiry, const struct weir_snapshot *list,
                                size_t count, bool *ret_landed, struct weir_error *reterr)
{
    struct weir_commit commit;
    size_t past;
    WEIR_TRY(weir_commit_init(&commit, reterr));
    weir_status status = add_refs(expiry, &commit, &past, reterr);
    if (status == WEIR_OK && count)
        status = add_snapshots(&commit, list, count, reterr);
    if (status == WEIR_OK)
        status = send(expiry, &commit, ret_landed, reterr);
    weir_commit_done(&commit);
    if (status == WEIR_OK && *ret_landed) {
        expiry->removed += (int64_t)count;
        expiry->refs_removed += (int64_t)past;
    }
    return status;
}

static size_t past_refs(const struct expiry *expiry)
{
    const char *name;
    json_t *ref;
    size_t count = 0;
    json_object_foreach(refs_of(expiry), name, ref) count += ref_is_past(expiry, name, ref);
    return count;
}

static weir_status wait_a_little(const struct expiry *expiry, int race, struct weir_error *reterr)
{
    struct weir_context *context = expiry->options->lake->context;
    weir_sleep_ms(context, (int64_t)weir_random_below(context, 50u << (race < 6 ? race : 6)));
    return weir_context_check(context, reterr);
}

/* Slice after slice; *ret_left: what would go and is still there. */
static weir_status expire_all(struct expiry *expiry, size_t *ret_left, struct weir_error *reterr)
{
    for (int race = 0; race < RACES_MAX;) {
        struct weir_snapshot *list;
        size_t count;
        bool landed;
        WEIR_TRY(judge(expiry, reterr));
        WEIR_TRY(going(expiry, &list, &count, reterr));
        *ret_left = count + past_refs(expiry);
        if (*ret_left == 0 || expiry->options->dry_run || upkeep_is_over(expiry->options))
            return WEIR_OK;
        WEIR_TRY(
            expire_slice(expiry, list, count < SLICE_MAX ? count : SLICE_MAX, &landed, reterr));
        if (!landed)
            WEIR_TRY(wait_a_little(expiry, race++, reterr));
    }
    return WEIR_OK; /* ingest goes first: the next run does it */
}

static weir_status refuse_nessie(const struct expiry *expiry, struct weir_error *reterr)
{
    if (!weir_metadata_property(expiry->table->metadata, "nessie.commit.id"))
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_UNSUPPORTED,
                                   "%s: Nessie keeps the newest snapshot alone, and the history "
                                   "itself: there is nothing that Weir could expire",
                                   expiry->table->name);
    weir_error_hint(reterr, "nessie-gc expires there; lifecycle.*.snapshots: none here");
    return status;
}

/* What came of the tables together. */
struct expired {
    int64_t removed, kept, refs_removed, commits;
    bool done, there, work; /* work: a dry run found some */
    char kept_by[128];
};

static void add_up(const struct expiry *expiry, size_t left, struct expired *sum)
{
    bool dry = expiry->options->dry_run;
    int64_t past = (int64_t)past_refs(expiry);
    for (size_t i = 0; i < expiry->count; i++)
        sum->kept += expiry->kept[i];
    sum->removed += dry ? (int64_t)left - past : expiry->removed;
    sum->refs_removed += dry ? past : expiry->refs_removed;
    sum->commits += expiry->commits;
    sum->done &= dry || left == 0;
    sum->work |= left > 0;
    sum->there = true;
    if (expiry->held_by && !*sum->kept_by)
        snprintf(sum->kept_by, sizeof sum->kept_by, "%s", expiry->held_by);
}

static weir_status expire_table(struct expiry *expiry, struct expired *sum,
                                struct weir_error *reterr)
{
    size_t left = 0;
    WEIR_TRY(upkeep_load_named(expiry->options, expiry->name, &expiry->table, reterr));
    if (!expiry->table)
        return WEIR_OK;
    WEIR_TRY(refuse_nessie(expiry, reterr));
    WEIR_TRY(expire_all(expiry, &left, reterr));
    add_up(expiry, left, sum);
    return WEIR_OK;
}

static weir_status expire_beside(const struct weir_upkeep_options *options, const char *suffix,
                                 struct expired *sum, struct weir_error *reterr)
{
    char name[WEIR_NAME_SIZE_MAX + 64];
    struct expiry expiry = {.options = options, .rule = &options->table->lifecycle, .name = name};
    snprintf(name, sizeof name, "%.*s%s", (int)WEIR_NAME_SIZE_MAX, options->table->name, suffix);
    weir_arena_init(&expiry.arena, &options->lake->context->memory);
    weir_status status = expire_table(&expiry, sum, reterr);
    weir_table_free(expiry.table);
    weir_arena_done(&expiry.arena);
    return status;
}

static json_t *tell(const struct weir_upkeep_options *options, const struct expired *sum)
{
    json_t *outcome = json_pack(
        "{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I}", "table", options->table->name, "action",
        "expire", "idle", sum->commits == 0 && !(options->dry_run && sum->work), "done", sum->done,
        "snapshots_removed", (json_int_t)sum->removed, "snapshots_kept", (json_int_t)sum->kept,
        "refs_removed", (json_int_t)sum->refs_removed, "commits", (json_int_t)sum->commits);
    if (outcome && *sum->kept_by)
        json_object_set_new(outcome, "kept_by", json_string(sum->kept_by));
    return outcome;
}

/* The table, and those beside it with what was refused, set aside and late: by the same rule. */
weir_status weir_upkeep_expire(const struct weir_upkeep_options *options, json_t **ret_outcome,
                               struct weir_error *reterr)
{
    static const char *const suffixes[] = {"", "__quarantine", "__late"};
    struct expired sum = {.done = true};
    *ret_outcome = NULL;
    if (!options->table->lifecycle.expires) {
        *ret_outcome = upkeep_idle(options, "expire", "no rule: its snapshots are kept for ever");
        return WEIR_OK;
    }
    for (size_t i = 0; i < 3; i++)
        WEIR_TRY(expire_beside(options, suffixes[i], &sum, reterr));
    *ret_outcome = sum.there ? tell(options, &sum)
                             : upkeep_idle(options, "expire", "the table is not there yet");
    return *ret_outcome ? WEIR_OK : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for an outcome");
}
