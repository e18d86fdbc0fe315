/* Compaction: small files become large ones, deletes are applied, LZ4 becomes zstd; the rows stay
 * what they are. Slice by slice:
 *     plan from manifests -> rows to new files -> read back -> one commit (operation replace)
 * Windows land meanwhile as they like: the commit goes behind them, as long as the files it takes
 * out are there and no rows were deleted in place; else the slice is planned again. Dying anywhere
 * before the commit leaves litter. */
#include "scheduler/upkeep/compact_int.h"

#include "scheduler/commit/state.h"
#include "scheduler/upkeep/upkeep_int.h"

#include <stdlib.h>
#include <string.h>

#define SLICE_BYTES    (256LL << 20)    /* of old files, and a group more */
#define SLICE_MS       20000            /* no further group is begun after it */
#define RACES_MAX      5                /* slices lost in a row: others go first */
#define CANDIDATE_MS   (7 * 86400000LL) /* so long a person may take */
#define TARGET_DEFAULT (128u << 20)
#define SMALL_DEFAULT  20

/* A slice: groups of the plan as they are written and committed together. */
struct slice {
    struct compaction *compaction;
    size_t count;
    struct compact_written *written; /* one a group */
    struct weir_data_file *files;
    size_t file_count;
    const char **removed;
    size_t removed_count, deletes_removed;
    json_t *receipt;
    bool last; /* of what is due now */
};

/* ---- planning ---- */

/* *table NULL: it is not there yet. */
static weir_status reload(struct compaction *compaction, struct weir_error *reterr)
{
    struct weir_table *fresh;
    WEIR_TRY(upkeep_load(compaction->options, &fresh, reterr));
    weir_table_free(compaction->table);
    compaction->table = fresh;
    return WEIR_OK;
}

static int64_t said(const struct weir_snapshot *snapshot, const char *key)
{
    const char *text = json_string_value(json_object_get(snapshot->summary, key));
    return text ? atoll(text) : -1;
}

/* From summaries alone, for a run asks each time: files that came since the last compaction, which
 * left fewer than are due, and rows that were deleted in place. */
static bool may_be_due(const struct compaction *compaction)
{
    const struct weir_metadata *metadata = compaction->table->metadata;
    struct weir_snapshot at;
    int64_t came = 0, id = compaction->head;
    if (compaction->options->by_hand || !weir_metadata_snapshot(metadata, id, &at))
        return true;
    if (said(&at, "total-delete-files") != 0)
        return true;
    if (said(&at, "total-data-files") >= 0 &&
        said(&at, "total-data-files") < compaction->small_files)
        return false;
    for (; weir_metadata_snapshot(metadata, id, &at); id = at.parent_id) {
        const char *kind = json_string_value(json_object_get(at.summary, "weir.kind"));
        if (kind && strcmp(kind, "compact") == 0)
            return json_object_get(at.summary, "weir.compact.left") ||
                   came >= (compaction->small_files + 1) / 2;
        came += said(&at, "added-data-files") > 0 ? said(&at, "added-data-files") : 0;
    }
    return true;
}

/* What compaction keeps away from, in words; NULL: nothing. */
static const char *reason_against(const struct compaction *compaction)
{
    if (weir_metadata_format_version(compaction->table->metadata) > 2)
        return "its format version is 3, whose row ids others must keep";
    if (upkeep_candidate(compaction->lake->context, compaction->table, CANDIDATE_MS))
        return "a candidate of a promotion waits for a person (weir promote --accept or --discard)";
    return NULL;
}

static const struct weir_field *find_leaf(const struct weir_type *type, const char *path)
{
    const struct weir_field *field = weir_type_by_path(type, path);
    return field && !weir_type_is_nested(field->type.id) ? field : NULL;
}

static void make_rules(struct compaction *compaction)
{
    const struct weir_metadata *metadata = compaction->table->metadata;
    const struct weir_table_config *table = compaction->options->table;
    const struct weir_type *columns = &weir_metadata_schema(metadata)->root;
    struct compact_rules *rules = &compaction->rules;
    const struct weir_field *order = table->sort_count ? find_leaf(columns, table->sort_by[0].path)
                                                       : find_leaf(columns, "_kafka.offset");
    *rules = (struct compact_rules){.spec_id = weir_metadata_spec(metadata)->id,
                                    .target = compaction->target,
                                    .small_files = compaction->small_files,
                                    .all = compaction->options->by_hand};
    rules->specs = weir_metadata_specs(metadata, &rules->spec_count);
    if (order) {
        rules->order_id = order->id;
        rules->order_type = &order->type;
    }
}

/* What is due at the table's head; an empty plan when nothing is. *ret_reason: why not. */
static weir_status plan_round(struct compaction *compaction, const char **ret_reason,
                              struct weir_error *reterr)
{
    const struct weir_metadata *metadata = compaction->table->metadata;
    json_t *state;
    compaction->plan = (struct compact_plan){0};
    weir_arena_reset(&compaction->arena);
    if (!weir_metadata_ref(metadata, "main", &compaction->head))
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", compaction->name);
    *ret_reason = reason_against(compaction);
    if (*ret_reason || !may_be_due(compaction))
        return WEIR_OK;
    weir_status status = weir_truth(&compaction->lake->store, &compaction->lake->context->memory,
                                    metadata, "main", &state, reterr);
    if (status == WEIR_NOT_FOUND) {
        *ret_reason = "Weir did not make it";
        return WEIR_OK;
    }
    WEIR_TRY(status);
    compaction->epoch = json_integer_value(json_object_get(state, "epoch"));
    json_decref(state);
    make_rules(compaction);
    WEIR_TRY(weir_snapshot_files(compaction->lake, metadata, compaction->head, &compaction->arena,
                                 &compaction->entries, &compaction->entry_count, reterr));
    return compact_plan_make(&compaction->arena, compaction->entries, compaction->entry_count,
                             &compaction->rules, &compaction->plan, reterr);
}

/* ---- a slice ---- */

static void slice_done(struct slice *slice)
{
    for (size_t i = 0; i < slice->compaction->plan.count && slice->written; i++) {
        weir_table_writer_free(slice->written[i].writer);
        compact_digest_free(slice->written[i].order);
    }
    json_decref(slice->receipt);
    compact_rows_end(slice->compaction);
}

static weir_status write_groups(struct slice *slice, struct weir_error *reterr)
{
    struct compaction *compaction = slice->compaction;
    int64_t bytes = 0, began = weir_steady_ms(compaction->lake->context);
    WEIR_TRY(weir_arena_zero(&compaction->arena, compaction->plan.count, sizeof *slice->written,
                             &slice->written, reterr));
    WEIR_TRY(compact_rows_begin(compaction, reterr));
    while (slice->count < compaction->plan.count && bytes < SLICE_BYTES &&
           weir_steady_ms(compaction->lake->context) - began < SLICE_MS &&
           (slice->count == 0 || !upkeep_is_over(compaction->options))) {
        const struct compact_group *group = &compaction->plan.groups[slice->count];
        struct compact_written *written = &slice->written[slice->count];
        WEIR_TRY(compact_rows_write(compaction, group, written, reterr));
        WEIR_TRY(compact_check_read(compaction, written, reterr));
        WEIR_TRY(compact_check(compaction, group, written, reterr));
        bytes += group->bytes;
        slice->count++;
    }
    slice->last = slice->count == compaction->plan.count;
    return WEIR_OK;
}

static weir_status gather_files(struct slice *slice, struct weir_error *reterr)
{
    struct compaction *compaction = slice->compaction;
    struct weir_arena *arena = &compaction->arena;
    const struct compact_group *groups = compaction->plan.groups;
    const char **spent;
    size_t added = 0, removed = 0, spent_count;
    WEIR_TRY(compact_plan_spent(arena, compaction->entries, compaction->entry_count,
                                &compaction->rules, groups, slice->count, &spent, &spent_count,
                                reterr));
    for (size_t g = 0; g < slice->count; g++) {
        added += slice->written[g].files.count;
        removed += groups[g].count;
    }
    WEIR_TRY(weir_arena_zero(arena, added + 1, sizeof *slice->files, &slice->files, reterr));
    WEIR_TRY(weir_arena_zero(arena, removed + spent_count + 1, sizeof *slice->removed,
                             &slice->removed, reterr));
    for (size_t g = 0; g < slice->count; g++) {
        const struct weir_table_files *files = &slice->written[g].files;
        for (size_t i = 0; i < files->count; i++)
            slice->files[slice->file_count++] = files->files[i];
        for (size_t i = 0; i < groups[g].count; i++)
            slice->removed[slice->removed_count++] = groups[g].files[i]->file.path;
    }
    for (size_t i = 0; i < spent_count; i++)
        slice->removed[slice->removed_count++] = spent[i];
    slice->deletes_removed = spent_count;
    return WEIR_OK;
}

static json_t *sum_json(const struct weir_row_hash *hash)
{
    char text[33];
    weir_row_hash_print(hash, text);
    return json_pack("{s:I, s:s}", "rows", (json_int_t)hash->count, "row_hash", text);
}

/* Not under the keys by which windows and promotions say which rows they landed: these rows were
 * there. */
static weir_status make_receipt(struct slice *slice, struct weir_error *reterr)
{
    struct weir_row_hash read = {0}, written = {0};
    json_t *deletes = json_array();
    for (size_t g = 0; g < slice->count; g++) {
        weir_row_hash_merge(&read, &slice->written[g].read);
        weir_row_hash_merge(&written, &slice->written[g].again);
    }
    for (size_t i = slice->removed_count - slice->deletes_removed; i < slice->removed_count; i++)
        json_array_append_new(deletes, json_string(slice->removed[i]));
    slice->receipt = json_pack("{s:o, s:o, s:o, s:o, s:o, s:s}", "files",
                               compact_list_written(slice->written, slice->count), "removed",
                               compact_list_read(slice->compaction->plan.groups, slice->count),
                               "removed_deletes", deletes, "read", sum_json(&read), "written",
                               sum_json(&written), "version", "0.1.0");
    return slice->receipt ? WEIR_OK : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
}

static weir_status land_slice(struct slice *slice, enum weir_landing *ret_landing,
                              struct weir_error *reterr)
{
    struct compaction *compaction = slice->compaction;
    json_t *summary = slice->last ? json_object() : json_pack("{s:s}", "weir.compact.left", "1");
    struct weir_work work = {.kind = "compact",
                             .operation = "replace",
                             .epoch = compaction->epoch,
                             .files = slice->files,
                             .file_count = slice->file_count,
                             .removed = slice->removed,
                             .removed_count = slice->removed_count,
                             .base = compaction->head,
                             .follows = true,
                             .summary = summary,
                             .receipt = slice->receipt};
    weir_status status = summary ? weir_land(compaction->lake, &compaction->table, &work,
                                             ret_landing, NULL, reterr)
                                 : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a summary");
    json_decref(summary);
    return status;
}

static void count_slice(const struct slice *slice)
{
    struct compaction *compaction = slice->compaction;
    compaction->commits++;
    compaction->deletes_removed += (int64_t)slice->deletes_removed;
    compaction->files_added += (int64_t)slice->file_count;
    for (size_t g = 0; g < slice->count; g++) {
        compaction->files_removed += (int64_t)compaction->plan.groups[g].count;
        compaction->bytes_read += compaction->plan.groups[g].bytes;
        compaction->bytes_written += slice->written[g].files.bytes;
        compaction->rows += slice->written[g].files.rows;
    }
}

static weir_status compact_slice(struct compaction *compaction, bool *ret_landed,
                                 struct weir_error *reterr)
{
    struct slice slice = {.compaction = compaction};
    enum weir_landing landing = WEIR_ABANDONED;
    weir_status status = write_groups(&slice, reterr);
    if (status == WEIR_OK)
        status = gather_files(&slice, reterr);
    if (status == WEIR_OK)
        status = make_receipt(&slice, reterr);
    if (status == WEIR_OK)
        status = land_slice(&slice, &landing, reterr);
    *ret_landed = landing == WEIR_LANDED;
    if (status == WEIR_OK && *ret_landed)
        count_slice(&slice);
    slice_done(&slice);
    return status;
}

/* ---- the action ---- */

static json_t *tell(const struct compaction *compaction)
{
    const struct compact_plan *plan = &compaction->plan;
    bool dry = compaction->options->dry_run;
    int64_t files = 0, bytes = 0;
    for (size_t g = 0; g < plan->count; g++) {
        files += (int64_t)plan->groups[g].count;
        bytes += plan->groups[g].bytes;
    }
    json_t *outcome = json_pack(
        "{s:s, s:s, s:b, s:b}", "table", compaction->name, "action", "compact", "idle",
        dry ? plan->count == 0 : compaction->commits == 0, "done", dry || plan->count == 0);
    if (dry) {
        json_object_set_new(outcome, "files_removed", json_integer(files));
        json_object_set_new(outcome, "files_added", json_integer((json_int_t)plan->count));
        json_object_set_new(outcome, "bytes_read", json_integer(bytes));
        return outcome;
    }
    const struct {
        const char *key;
        int64_t count;
    } counts[] = {{"files_removed", compaction->files_removed},
                  {"files_added", compaction->files_added},
                  {"deletes_removed", compaction->deletes_removed},
                  {"rows_written", compaction->rows},
                  {"bytes_read", compaction->bytes_read},
                  {"bytes_written", compaction->bytes_written},
                  {"commits", compaction->commits}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        json_object_set_new(outcome, counts[i].key, json_integer(counts[i].count));
    return outcome;
}

static weir_status wait_a_little(const struct compaction *compaction, int race,
                                 struct weir_error *reterr)
{
    struct weir_context *context = compaction->lake->context;
    weir_sleep_ms(context, (int64_t)weir_random_below(context, 50u << (race < 6 ? race : 6)));
    return weir_context_check(context, reterr);
}

/* The plan is what is left: empty, or the time is over, or others were always faster. */
static weir_status compact_all(struct compaction *compaction, const char **ret_reason,
                               struct weir_error *reterr)
{
    WEIR_TRY(plan_round(compaction, ret_reason, reterr));
    for (int races = 0; compaction->plan.count && races < RACES_MAX;) {
        bool landed;
        if (compaction->options->dry_run || upkeep_is_over(compaction->options))
            return WEIR_OK;
        WEIR_TRY(compact_slice(compaction, &landed, reterr));
        races = landed ? 0 : races + 1;
        if (!landed) {
            WEIR_TRY(wait_a_little(compaction, races, reterr));
            WEIR_TRY(reload(compaction, reterr));
        }
        WEIR_TRY(plan_round(compaction, ret_reason, reterr));
    }
    return WEIR_OK;
}

static weir_status compaction_open(struct compaction *compaction,
                                   const struct weir_upkeep_options *options,
                                   struct weir_error *reterr)
{
    const struct weir_lifecycle_config *rule = &options->table->lifecycle;
    *compaction = (struct compaction){
        .options = options,
        .lake = options->lake,
        .name = options->table->name,
        .target = rule->compacts ? rule->compact_target : TARGET_DEFAULT,
        .small_files = rule->compacts ? rule->small_files : SMALL_DEFAULT};
    weir_arena_init(&compaction->arena, &options->lake->context->memory);
    weir_arena_init(&compaction->flat, &options->lake->context->memory);
    return reload(compaction, reterr);
}

static void compaction_done(struct compaction *compaction)
{
    weir_table_free(compaction->table);
    weir_arena_done(&compaction->arena);
    weir_arena_done(&compaction->flat);
}

weir_status weir_upkeep_compact(const struct weir_upkeep_options *options, json_t **ret_outcome,
                                struct weir_error *reterr)
{
    struct compaction compaction;
    const char *reason = NULL;
    if (!options->table->lifecycle.compacts && !options->by_hand) {
        *ret_outcome = upkeep_idle(options, "compact", NULL);
        return WEIR_OK;
    }
    weir_status status = compaction_open(&compaction, options, reterr);
    if (status == WEIR_OK && compaction.table)
        status = compact_all(&compaction, &reason, reterr);
    json_t *outcome = status != WEIR_OK   ? NULL
                      : reason            ? upkeep_idle(options, "compact", reason)
                      : !compaction.table ? upkeep_idle(options, "compact", NULL)
                                          : tell(&compaction);
    if (status == WEIR_OK)
        *ret_outcome = outcome;
    compaction_done(&compaction);
    return status;
}

weir_status weir_upkeep_compact_due(const struct weir_upkeep_options *options, int64_t *ret_debt,
                                    struct weir_error *reterr)
{
    struct compaction compaction;
    const char *reason;
    *ret_debt = 0;
    if (!options->table->lifecycle.compacts)
        return WEIR_OK;
    weir_status status = compaction_open(&compaction, options, reterr);
    if (status == WEIR_OK && compaction.table)
        status = plan_round(&compaction, &reason, reterr);
    if (status == WEIR_OK)
        *ret_debt = compaction.plan.debt;
    compaction_done(&compaction);
    return status;
}
