/* Retention: rows whose time lies further back than `retain` says leave the table. Files whose
 * bounds prove that all their rows are older leave whole, at no cost but a commit; those that
 * straddle the line are written anew without the older rows, some at a time.
 *
 * The line moves by whole steps (a day, an hour for short rules), so that a file is not written
 * anew in every run. The first commit that drops something moves the table's weir.horizon there:
 * from then on promotions count rows from before it as gone by law and not by change, and those
 * that come as late (protocol.md 6). It never moves back. Rows that arrive from before the line
 * later on are dropped by the next retention, once every promotion and sink that this table has has
 * seen them, or after as long again as they are kept.
 *
 * Work follows the head: windows that land meanwhile do not make it lose. */
#include "engine/base/text.h"
#include "engine/kernel/row_hash.h"
#include "formats/iceberg/prune.h"
#include "scheduler/upkeep/upkeep_int.h"

#include <string.h>

#define SLICE_BYTES (256LL << 20) /* of files written anew in one commit */
#define SLICE_FILES 512
#define ROUNDS_MAX  5
#define PIN_PREFIX  "weir-at-"

enum verdict {
    KEEP,  /* nothing older in it */
    WHOLE, /* all older */
    PART,  /* some may be */
    ASK,   /* no bounds: the rows tell */
    WAIT   /* older, and somebody has not read it yet */
};

struct retention {
    const struct weir_upkeep_options *options;
    const struct weir_lifecycle_config *rule;
    struct weir_lake *lake;
    struct weir_arena arena;
    struct weir_table *table;
    json_t *truth;
    int64_t head;
    const struct weir_field *by;
    int64_t line;       /* micros: rows below it go */
    char line_text[40]; /* the same as text */
    int64_t horizon;    /* micros: what the table says, at least the line once something goes */
    char horizon_text[40];
    char *older, *younger; /* conditions over a row */
    bool moves;            /* the line lies beyond what the table says */
    struct weir_manifest_entry *entries;
    size_t count;
    uint8_t *verdicts;
    /* told */
    int64_t rows, files, rewritten, waiting, commits, left;
    int64_t refused; /* rows that had been set aside */
    int64_t oldest;  /* lowest bound of the column, micros; INT64_MAX: none is known */
};

/* ---- where the line is ---- */

static int64_t floor_to(int64_t value, int64_t step)
{
    int64_t rest = value % step;
    return value - (rest < 0 ? rest + step : rest);
}

static weir_status not_a_time(const struct retention *retention, const char *what,
                              struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_USAGE, "%s: retain.by: column %s of %s %s",
                     retention->rule->retain_location, retention->rule->retain_by,
                     retention->options->table->name, what);
}

static weir_status find_column(struct retention *retention, struct weir_error *reterr)
{
    const char *name = retention->rule->retain_by;
    const struct weir_field *by = weir_type_child(
        &weir_metadata_schema(retention->table->metadata)->root, name, strlen(name));
    if (!by)
        return not_a_time(retention, "is not there", reterr);
    if (by->type.id != WEIR_TIMESTAMPTZ && by->type.id != WEIR_TIMESTAMP &&
        by->type.id != WEIR_DATE)
        return not_a_time(retention, "is no timestamptz, timestamp or date", reterr);
    if (strchr(name, '"'))
        return not_a_time(retention, "has a quotation mark in its name", reterr);
    retention->by = by;
    return WEIR_OK;
}

/* What the table's state says of this column; INT64_MIN = nothing. */
static int64_t horizon_of(const json_t *state, const char *column)
{
    const json_t *told = json_object_get(state, "horizon");
    const char *of = json_string_value(json_object_get(told, "column")),
               *before = json_string_value(json_object_get(told, "before"));
    int64_t at;
    return of && before && strcmp(of, column) == 0 &&
                   weir_text_timestamptz(before, strlen(before), &at)
               ? at
               : INT64_MIN;
}

static void draw_line(struct retention *retention)
{
    const struct weir_lifecycle_config *rule = retention->rule;
    int64_t step = retention->by->type.id == WEIR_DATE ? 86400000 : rule->retain_step_ms,
            now = weir_now_ms(retention->lake->context),
            told = horizon_of(retention->truth, rule->retain_by);
    retention->line = floor_to(now - rule->retain_ms, step) * 1000;
    retention->moves = retention->line > told;
    retention->horizon = retention->moves ? retention->line : told;
    retention->line_text[weir_print_timestamptz(retention->line_text, retention->line)] = '\0';
    retention->horizon_text[weir_print_timestamptz(retention->horizon_text, retention->horizon)] =
        '\0';
}

static weir_status write_conditions(struct retention *retention, struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_print(&retention->arena, &retention->older, reterr,
                              "(CAST(\"%s\" AS timestamptz) < TIMESTAMPTZ '%s')",
                              retention->rule->retain_by, retention->line_text));
    return weir_arena_print(&retention->arena, &retention->younger, reterr, "%s IS NOT TRUE",
                            retention->older);
}

/* ---- which files ---- */

static int64_t count_of(const struct weir_id_count *counts, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (counts[i].id == id)
            return counts[i].count;
    return -1;
}

/* A bound in microseconds; false: there is none. */
static bool bound_micros(const struct retention *retention, const struct weir_id_bound *bounds,
                         size_t count, int64_t *ret_micros)
{
    for (size_t i = 0; i < count; i++) {
        if (bounds[i].id != retention->by->id)
            continue;
        if (!weir_bound_usable(&retention->by->type, &bounds[i].bound))
            return false;
        if (retention->by->type.id == WEIR_DATE) {
            int32_t days;
            memcpy(&days, bounds[i].bound.data, sizeof days);
            *ret_micros = (int64_t)days * 86400000000;
        } else {
            memcpy(ret_micros, bounds[i].bound.data, sizeof *ret_micros);
        }
        return true;
    }
    return false;
}

static enum verdict judge(const struct retention *retention, const struct weir_data_file *file)
{
    int32_t id = retention->by->id;
    int64_t lower, upper, nulls = count_of(file->null_counts, file->null_count_count, id),
                          values = count_of(file->value_counts, file->value_count_count, id);
    if (file->record_count == 0 || (nulls >= 0 && nulls == values))
        return KEEP; /* a row without a time does not grow old */
    bool has_lower = bound_micros(retention, file->lower, file->lower_count, &lower),
         has_upper = bound_micros(retention, file->upper, file->upper_count, &upper);
    if (has_lower && lower >= retention->line)
        return KEEP;
    if (has_upper && upper < retention->line && nulls == 0)
        return WHOLE;
    return has_lower && has_upper ? PART : ASK;
}

/* What everybody who reads this table by steps has read: the sequence number of the oldest snapshot
 * that a promotion or sink holds. */
static int64_t read_by_all(const struct retention *retention)
{
    const char *name;
    json_t *ref;
    struct weir_snapshot snapshot;
    int64_t reached = INT64_MAX;
    json_object_foreach(json_object_get(weir_metadata_document(retention->table->metadata), "refs"),
                        name, ref)
    {
        if (strncmp(name, PIN_PREFIX, strlen(PIN_PREFIX)) == 0 &&
            weir_metadata_snapshot(retention->table->metadata,
                                   json_integer_value(json_object_get(ref, "snapshot-id")),
                                   &snapshot) &&
            snapshot.sequence_number < reached)
            reached = snapshot.sequence_number;
    }
    return reached;
}

/* Came into the table after the line; one whose snapshot has been expired came long ago. */
static bool is_recent(const struct retention *retention, const struct weir_manifest_entry *entry)
{
    struct weir_snapshot snapshot;
    return weir_metadata_snapshot(retention->table->metadata, entry->snapshot_id, &snapshot) &&
           snapshot.timestamp_ms > retention->line / 1000;
}

static weir_status judge_all(struct retention *retention, struct weir_error *reterr)
{
    int64_t reached = read_by_all(retention);
    WEIR_TRY(weir_snapshot_files(retention->lake, retention->table->metadata, retention->head,
                                 &retention->arena, &retention->entries, &retention->count,
                                 reterr));
    WEIR_TRY(
        weir_arena_zero(&retention->arena, retention->count + 1, 1, &retention->verdicts, reterr));
    retention->waiting = 0;
    retention->oldest = INT64_MAX;
    for (size_t i = 0; i < retention->count; i++) {
        const struct weir_manifest_entry *entry = &retention->entries[i];
        enum verdict verdict = entry->file.content == 0 ? judge(retention, &entry->file) : KEEP;
        int64_t lower;
        if (entry->file.content == 0 &&
            bound_micros(retention, entry->file.lower, entry->file.lower_count, &lower) &&
            lower < retention->oldest)
            retention->oldest = lower;
        /* without bounds nobody knows: looked at when the line moves, not in every run */
        if (verdict == ASK && !retention->moves)
            verdict = KEEP;
        if (verdict != KEEP && entry->sequence_number > reached && is_recent(retention, entry)) {
            verdict = WAIT;
            retention->waiting++;
        }
        retention->verdicts[i] = (uint8_t)verdict;
    }
    return WEIR_OK;
}

/* ---- commits ---- */

static weir_status overlay(void *self, json_t *state, int64_t snapshot_id,
                           struct weir_error *reterr)
{
    const struct retention *retention = self;
    const char *column = retention->rule->retain_by;
    (void)snapshot_id;
    if (horizon_of(state, column) >= retention->horizon)
        return WEIR_OK;
    if (json_object_set_new(
            state, "horizon",
            json_pack("{s:s, s:s}", "column", column, "before", retention->horizon_text)))
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's state");
    return WEIR_OK;
}

static json_t *receipt_of(const struct retention *retention, const char *const *removed,
                          size_t count, int64_t rows, const struct upkeep_rewritten *rewritten)
{
    json_t *list = json_array(),
           *receipt = json_pack("{s:{s:s, s:s, s:I}, s:I, s:s, s:O, s:o, s:s}", "retention",
                                "column", retention->rule->retain_by, "before",
                                retention->line_text, "rows", (json_int_t)rows, "rows",
                                (json_int_t)rewritten->rows, "row_hash", rewritten->hash, "files",
                                rewritten->receipts, "removed", list, "version", "0.1.0");
    for (size_t i = 0; receipt && i < count; i++)
        json_array_append_new(list, json_string(removed[i]));
    return receipt;
}

static weir_status land(struct retention *retention, const char *const *removed, size_t count,
                        int64_t rows, const struct upkeep_rewritten *rewritten,
                        enum weir_landing *ret_landing, struct weir_error *reterr)
{
    json_t *receipt = receipt_of(retention, removed, count, rows, rewritten);
    struct weir_work work = {
        .kind = "retention",
        .operation = rewritten->file_count ? "overwrite" : "delete",
        .epoch = json_integer_value(json_object_get(retention->truth, "epoch")),
        .overlay = overlay,
        .self = retention,
        .files = rewritten->files,
        .file_count = rewritten->file_count,
        .removed = removed,
        .removed_count = count,
        .base = retention->head,
        .follows = true,
        .receipt = receipt};
    weir_status status = receipt ? weir_land(retention->lake, &retention->table, &work, ret_landing,
                                             NULL, reterr)
                                 : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    json_decref(receipt);
    if (status == WEIR_OK && *ret_landing == WEIR_LANDED) {
        retention->commits++;
        retention->rows += rows;
    }
    return status;
}

/* All that leave whole, in one commit. */
static weir_status drop_whole(struct retention *retention, enum weir_landing *ret_landing,
                              struct weir_error *reterr)
{
    const char **removed;
    struct json_t *none = json_array();
    struct upkeep_rewritten nothing = {.receipts = none};
    struct weir_row_hash hash = {0};
    size_t count = 0;
    int64_t rows = 0;
    weir_row_hash_print(&hash, nothing.hash);
    weir_status status = weir_arena_zero(&retention->arena, retention->count + 1, sizeof *removed,
                                         &removed, reterr);
    for (size_t i = 0; status == WEIR_OK && i < retention->count; i++) {
        if (retention->verdicts[i] != WHOLE)
            continue;
        removed[count++] = retention->entries[i].file.path;
        rows += retention->entries[i].file.record_count;
    }
    *ret_landing = WEIR_LANDED;
    if (status == WEIR_OK && count)
        status = land(retention, removed, count, rows, &nothing, ret_landing, reterr);
    if (status == WEIR_OK && *ret_landing == WEIR_LANDED)
        retention->files += (int64_t)count;
    json_decref(none);
    return status;
}

/* One file without its older rows; one that has none is left as it is. */
static weir_status rewrite_one(struct retention *retention, struct upkeep_rewriter *rewriter,
                               size_t at, int64_t *ret_older, struct weir_error *reterr)
{
    const struct weir_data_file *file = &retention->entries[at].file;
    WEIR_TRY(upkeep_rewriter_count(rewriter, file, retention->older, ret_older, reterr));
    if (*ret_older == 0)
        return WEIR_OK;
    return upkeep_rewriter_add(rewriter, file, retention->younger, reterr);
}

/* As many straddling files as a commit takes, from *at on. */
static weir_status rewrite_slice(struct retention *retention, struct upkeep_rewriter *rewriter,
                                 size_t *at, enum weir_landing *ret_landing,
                                 struct weir_error *reterr)
{
    const char *removed[SLICE_FILES];
    const struct upkeep_rewritten *rewritten;
    size_t count = 0;
    int64_t rows = 0, bytes = 0, older;
    upkeep_rewriter_begin(rewriter);
    *ret_landing = WEIR_LANDED;
    for (; *at < retention->count && count < SLICE_FILES && bytes < SLICE_BYTES; ++*at) {
        const struct weir_data_file *file = &retention->entries[*at].file;
        if (retention->verdicts[*at] != PART && retention->verdicts[*at] != ASK)
            continue;
        if (upkeep_is_over(retention->options))
            break;
        WEIR_TRY(weir_context_check(retention->lake->context, reterr));
        WEIR_TRY(rewrite_one(retention, rewriter, *at, &older, reterr));
        if (!older)
            continue;
        removed[count++] = file->path;
        rows += older;
        bytes += file->file_size;
    }
    if (!count)
        return WEIR_OK;
    WEIR_TRY(upkeep_rewriter_end(rewriter, &rewritten, reterr));
    WEIR_TRY(land(retention, removed, count, rows, rewritten, ret_landing, reterr));
    if (*ret_landing == WEIR_LANDED)
        retention->rewritten += (int64_t)count;
    return WEIR_OK;
}

static size_t straddling(const struct retention *retention, size_t from)
{
    size_t count = 0;
    for (size_t i = from; i < retention->count; i++)
        count += retention->verdicts[i] == PART || retention->verdicts[i] == ASK;
    return count;
}

static weir_status rewrite_all(struct retention *retention, enum weir_landing *ret_landing,
                               struct weir_error *reterr)
{
    struct upkeep_rewriter *rewriter;
    size_t at = 0;
    weir_status status = WEIR_OK;
    *ret_landing = WEIR_LANDED;
    retention->left = (int64_t)straddling(retention, 0);
    if (retention->left == 0 || upkeep_is_over(retention->options))
        return WEIR_OK;
    WEIR_TRY(upkeep_rewriter_new(retention->options, retention->table, retention->head, &rewriter,
                                 reterr));
    while (status == WEIR_OK && *ret_landing == WEIR_LANDED && retention->left &&
           !upkeep_is_over(retention->options)) {
        status = rewrite_slice(retention, rewriter, &at, ret_landing, reterr);
        retention->left = (int64_t)straddling(retention, at);
    }
    upkeep_rewriter_free(rewriter);
    return status;
}

/* ---- the whole ---- */

/* The table as it is now: its line, its files. */
static weir_status look(struct retention *retention, struct weir_error *reterr)
{
    const char *name = retention->options->table->name;
    if (!weir_metadata_ref(retention->table->metadata, "main", &retention->head))
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", name);
    json_decref(retention->truth);
    retention->truth = NULL;
    weir_status status = weir_truth(&retention->lake->store, &retention->lake->context->memory,
                                    retention->table->metadata, "main", &retention->truth, reterr);
    if (status == WEIR_NOT_FOUND)
        return weir_fail(reterr, WEIR_REFUSED,
                         "table %s is there, but Weir did not make it: its rows are not dropped",
                         name);
    WEIR_TRY(status);
    WEIR_TRY(find_column(retention, reterr));
    draw_line(retention);
    WEIR_TRY(write_conditions(retention, reterr));
    return judge_all(retention, reterr);
}

/* What would be done, by bounds alone. */
static void foresee(struct retention *retention)
{
    for (size_t i = 0; i < retention->count; i++) {
        if (retention->verdicts[i] == WHOLE) {
            retention->files++;
            retention->rows += retention->entries[i].file.record_count;
        }
        retention->rewritten += retention->verdicts[i] == PART || retention->verdicts[i] == ASK;
    }
}

static weir_status retain_all(struct retention *retention, struct weir_error *reterr)
{
    enum weir_landing landing = WEIR_ABANDONED;
    for (int round = 0; round < ROUNDS_MAX && landing != WEIR_LANDED; round++) {
        if (round)
            weir_sleep_ms(retention->lake->context,
                          (int64_t)weir_random_below(retention->lake->context, 50u << round));
        WEIR_TRY(weir_context_check(retention->lake->context, reterr));
        WEIR_TRY(look(retention, reterr));
        if (retention->options->dry_run) {
            foresee(retention);
            return WEIR_OK;
        }
        WEIR_TRY(drop_whole(retention, &landing, reterr));
        if (landing == WEIR_LANDED)
            WEIR_TRY(rewrite_all(retention, &landing, reterr));
    }
    if (landing != WEIR_LANDED) /* ingest goes first: the next run does the rest */
        retention->left = 1;
    return WEIR_OK;
}

static json_t *tell(const struct retention *retention)
{
    bool dry = retention->options->dry_run,
         idle = retention->refused == 0 &&
                (dry ? retention->files + retention->rewritten == 0 : retention->commits == 0);
    json_t *outcome = json_pack(
        "{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "table",
        retention->options->table->name, "action", "retain", "idle", idle, "done",
        dry || retention->left == 0, "rows_dropped", (json_int_t)retention->rows, "files_dropped",
        (json_int_t)retention->files, "files_rewritten", (json_int_t)retention->rewritten,
        "files_waiting", (json_int_t)retention->waiting, "refused_dropped",
        (json_int_t)retention->refused, "commits", (json_int_t)retention->commits);
    if (outcome && *retention->line_text)
        json_object_set_new(outcome, "before", json_string(retention->line_text));
    if (outcome && retention->oldest != INT64_MAX) {
        char oldest[40];
        int64_t late_s = (retention->line - retention->oldest) / 1000000;
        oldest[weir_print_timestamptz(oldest, retention->oldest)] = '\0';
        json_object_set_new(outcome, "oldest", json_string(oldest));
        json_object_set_new(outcome, "seconds_overdue", json_integer(late_s > 0 ? late_s : 0));
    }
    return outcome;
}

static weir_status retain_table(struct retention *retention, json_t **ret_outcome,
                                struct weir_error *reterr)
{
    WEIR_TRY(upkeep_load(retention->options, &retention->table, reterr));
    if (!retention->table) {
        *ret_outcome = upkeep_idle(retention->options, "retain", "the table is not there yet");
        return WEIR_OK;
    }
    const char *candidate = upkeep_candidate(retention->lake->context, retention->table,
                                             retention->rule->retain_step_ms);
    if (candidate) {
        *ret_outcome = upkeep_idle(retention->options, "retain",
                                   "a candidate waits for somebody to accept or discard it");
        return WEIR_OK;
    }
    if (retention->rule->retain_ms)
        WEIR_TRY(retain_all(retention, reterr));
    if (retention->rule->quarantine_ms >= 0 && !upkeep_is_over(retention->options))
        WEIR_TRY(upkeep_aside(retention->options, &retention->table, &retention->refused, reterr));
    *ret_outcome = tell(retention);
    return *ret_outcome ? WEIR_OK : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for an outcome");
}

weir_status weir_upkeep_retain(const struct weir_upkeep_options *options, json_t **ret_outcome,
                               struct weir_error *reterr)
{
    struct retention retention = {.options = options,
                                  .rule = &options->table->lifecycle,
                                  .lake = options->lake,
                                  .oldest = INT64_MAX};
    *ret_outcome = NULL;
    if (!retention.rule->retain_ms && retention.rule->quarantine_ms < 0) {
        *ret_outcome = upkeep_idle(options, "retain", "no rule: its rows are kept for ever");
        return WEIR_OK;
    }
    weir_arena_init(&retention.arena, &options->lake->context->memory);
    weir_status status = retain_table(&retention, ret_outcome, reterr);
    json_decref(retention.truth);
    weir_table_free(retention.table);
    weir_arena_done(&retention.arena);
    return status;
}
