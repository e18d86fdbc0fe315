/* Windows of files: a set of (path, size, etag), each landed exactly once; the ledger of all of
 * them is an immutable sorted object that the snapshot names (weir.files). */
#include "scheduler/window/file_int.h"

#include "connectors/s3/s3.h"
#include "engine/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the ledger ---- */

static weir_status read_ledger(struct weir_lake *lake, const json_t *state, json_t **ret_ledger,
                               struct weir_error *reterr)
{
    const char *name = json_string_value(json_object_get(state, "files"));
    if (!name) {
        *ret_ledger = json_object();
        return WEIR_OK;
    }
    WEIR_AUTO(weir_buffer) text = {.account = &lake->context->memory};
    weir_status status = lake->store.operations->get(lake->store.self, name, 0, UINT64_MAX, &text,
                                                     NULL, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "the ledger of landed files: %s", name);
        return status == WEIR_NOT_FOUND ? WEIR_DECISION : status;
    }
    json_t *ledger = json_loadb((const char *)text.data, text.size, 0, NULL),
           *files = json_incref(json_object_get(ledger, "files"));
    json_decref(ledger);
    if (!json_is_object(files)) {
        json_decref(files);
        return weir_fail(reterr, WEIR_CORRUPT, "%s is no ledger of files", name);
    }
    *ret_ledger = files;
    return WEIR_OK;
}

static weir_status write_ledger(struct file_window *window, json_t *ledger, json_t *state,
                                int64_t snapshot_id, struct weir_error *reterr)
{
    struct weir_lake *lake = window->options->lake;
    char name[512];
    snprintf(name, sizeof name, "_weir/ledgers/%s/%019lld.json",
             weir_metadata_uuid(window->table->table->metadata), (long long)snapshot_id);
    json_t *json = json_pack("{s:i, s:O}", "format", 1, "files", ledger);
    char *text = json ? weir_json_text(json) : NULL;
    json_decref(json);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for the ledger of files");
    weir_status status = weir_put_own(lake, name, text, strlen(text), reterr);
    free(text);
    if (status == WEIR_OK)
        json_object_set_new(state, "files", json_string(name));
    return status;
}

static bool is_landed(const json_t *ledger, const struct weir_file_entry *entry)
{
    const json_t *known = json_object_get(ledger, entry->path);
    return known && json_integer_value(json_array_get(known, 0)) == (json_int_t)entry->size &&
           strcmp(json_string_value(json_array_get(known, 1)), entry->etag) == 0;
}

/* ---- what is due ---- */

static weir_status open_source(struct file_window *window, char *pattern, size_t size,
                               struct weir_error *reterr)
{
    const char *files = window->options->table->source->files;
    struct weir_context *context = window->options->lake->context;
    window->source = (struct weir_file_source){context, NULL};
    WEIR_TRY(weir_files_store(context, window->options->pipeline, files, &window->own_store,
                              &window->store, pattern, reterr));
    if (window->own_store)
        window->source.store = &window->store;
    else
        snprintf(pattern, size, "%s", files);
    return WEIR_OK;
}

static bool is_ours(const struct weir_window_options *options, const struct weir_file_entry *entry)
{
    char hex[33];
    if (options->shard_count <= 1)
        return true;
    weir_digest(entry->path, strlen(entry->path), hex);
    return strtoul(hex + 24, NULL, 16) % (unsigned)options->shard_count ==
           (unsigned)options->shard_index;
}

/* The ledger, the receipt and _source_file hold paths as text. A path that is none could not be
 * recorded as landed, and would be landed again and again. */
static weir_status note_unnamable(struct file_window *window, const char *path,
                                  struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) shown = {.account = window->arena.account};
    for (const char *at = path; *at; at++)
        WEIR_TRY((unsigned char)*at < 0x80
                     ? weir_buffer_append(&shown, at, 1, reterr)
                     : weir_buffer_print(&shown, reterr, "\\x%02x", (unsigned char)*at));
    json_array_append_new(window->unnamable, json_stringn((const char *)shown.data, shown.size));
    return WEIR_OK;
}

static weir_status find_due(struct file_window *window, struct weir_error *reterr)
{
    char pattern[4096];
    struct weir_file_entry *all;
    size_t count;
    WEIR_TRY(open_source(window, pattern, sizeof pattern, reterr));
    WEIR_TRY(weir_file_list(&window->source, pattern, &window->arena, &all, &count, reterr));
    window->changed = json_array();
    window->unnamable = json_array();
    window->entries = all;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(all[i].path);
        if (weir_utf8_invalid((const uint8_t *)all[i].path, size) < size) {
            WEIR_TRY(note_unnamable(window, all[i].path, reterr));
            continue;
        }
        if (is_landed(window->ledger, &all[i]) || !is_ours(window->options, &all[i]))
            continue;
        if (json_object_get(window->ledger, all[i].path)) {
            json_array_append_new(window->changed, json_string(all[i].path));
            continue;
        }
        all[window->count++] = all[i];
    }
    return WEIR_OK;
}

static weir_status window_open(struct file_window *window,
                               const struct weir_window_options *options, struct table_state *table,
                               struct weir_error *reterr)
{
    *window = (struct file_window){.options = options, .table = table};
    weir_arena_init(&window->arena, &options->lake->context->memory);
    if (table->truth)
        WEIR_TRY(read_ledger(options->lake, table->truth, &window->ledger, reterr));
    else
        window->ledger = json_object();
    return find_due(window, reterr);
}

static void window_close(struct file_window *window)
{
    for (size_t i = 0; window->lines && i < window->width; i++) {
        weir_buffer_done(&window->lines[i].bytes);
        weir_arena_done(&window->lines[i].arena);
    }
    weir_ingest_free(window->ingest);
    if (window->own_store)
        window->store.operations->free(window->store.self);
    json_decref(window->ledger);
    json_decref(window->changed);
    json_decref(window->unnamable);
    json_decref(window->done);
    weir_arena_done(&window->arena);
}

/* ---- landing ---- */

/* All of the window's files absent from the base's ledger: go. All there: somebody landed them. */
static enum weir_test compare(void *self, const json_t *state)
{
    struct file_window *window = self;
    json_t *ledger;
    if (read_ledger(window->options->lake, state, &ledger, NULL) != WEIR_OK)
        return WEIR_TEST_DROP;
    size_t there = 0;
    for (size_t i = window->first; i < window->last; i++)
        there += json_object_get(ledger, window->entries[i].path) != NULL;
    json_decref(ledger);
    return there == 0                              ? WEIR_TEST_GO
           : there == window->last - window->first ? WEIR_TEST_DONE
                                                   : WEIR_TEST_DROP;
}

static weir_status overlay(void *self, json_t *state, int64_t snapshot_id,
                           struct weir_error *reterr)
{
    struct file_window *window = self;
    json_t *ledger;
    WEIR_TRY(read_ledger(window->options->lake, state, &ledger, reterr));
    for (size_t i = window->first; i < window->last; i++)
        json_object_set_new(
            ledger, window->entries[i].path,
            json_pack("[I, s]", (json_int_t)window->entries[i].size, window->entries[i].etag));
    weir_status status = write_ledger(window, ledger, state, snapshot_id, reterr);
    json_decref(ledger);
    return status == WEIR_OK ? landing_letters(&window->landing, state, snapshot_id, reterr)
                             : status;
}

static weir_status land_window(struct file_window *window, const struct weir_ingest_result *result,
                               json_t *outcome, struct weir_error *reterr)
{
    struct landing *landing = &window->landing;
    weir_status status;
    WEIR_TRY_OUT(status, landing_init(landing, window->options, window->table, result, reterr));
    json_object_set(landing->receipt, "landed_files", window->done);
    json_object_set_new(landing->receipt, "bytes_read", json_integer(window->bytes));
    struct weir_work work = {
        .kind = "window",
        .operation = "append",
        .epoch = json_integer_value(json_object_get(window->table->truth, "epoch")),
        .test = compare,
        .overlay = overlay,
        .self = window,
        .files = result->files,
        .file_count = result->file_count,
        .summary = landing->summary,
        .receipt = landing->receipt,
        .properties = landing->properties,
        .schema = window->table->shape.changed ? &window->table->shape.schema : NULL};
    enum weir_landing how;
    int64_t snapshot_id = 0;
    WEIR_TRY_OUT(status, weir_land(window->options->lake, &window->table->table, &work, &how,
                                   &snapshot_id, reterr));
    if (how == WEIR_LANDED) {
        outcome_result(outcome, result, snapshot_id);
        outcome_add(outcome, "bytes", window->bytes);
        outcome_add(outcome, "source_files", (int64_t)(window->last - window->first));
    } else {
        outcome_add(outcome, how == WEIR_SUPERSEDED ? "superseded" : "abandoned", 1);
    }
out:
    landing_done(landing);
    return status;
}

static weir_status make_room(struct file_window *window, struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_zero(&window->arena, window->width, sizeof *window->lines, &window->lines,
                             reterr));
    WEIR_TRY(weir_arena_zero(&window->arena, window->width, sizeof *window->runs, &window->runs,
                             reterr));
    WEIR_TRY(weir_arena_zero(&window->arena, window->width, sizeof *window->counts, &window->counts,
                             reterr));
    for (size_t i = 0; i < window->width; i++) {
        weir_buffer_init(&window->lines[i].bytes, window->arena.account);
        weir_arena_init(&window->lines[i].arena, window->arena.account);
    }
    return WEIR_OK;
}

static weir_status read_window(struct file_window *window, unsigned flags,
                               struct weir_error *reterr)
{
    struct table_state *table = window->table;
    weir_ingest_free(window->ingest);
    window->ingest = NULL;
    json_decref(window->done);
    window->done = json_array();
    window->bytes = window->records = 0;
    WEIR_TRY(table_ingest(window->options, table,
                          weir_snapshot_id(window->options->lake->context, table->table->metadata),
                          flags, NULL, &window->ingest, reterr));
    window->width = weir_ingest_width(window->ingest);
    if (!window->lines)
        WEIR_TRY(make_room(window, reterr));
    for (size_t i = window->first; i < window->last; i++)
        WEIR_TRY(file_take(window, &window->entries[i], reterr));
    return WEIR_OK;
}

static weir_status ingest_window(struct file_window *window, json_t *outcome,
                                 struct weir_error *reterr)
{
    struct weir_ingest_result result;
    WEIR_TRY(read_window(window, 0, reterr));
    if (weir_ingest_found(window->ingest)) { /* once more, with columns for the fields it has */
        WEIR_TRY(table_grow(window->options, window->table, window->ingest, reterr));
        WEIR_TRY(read_window(window, INGEST_GROWN, reterr));
    }
    WEIR_TRY(weir_ingest_finish(window->ingest, &result, reterr));
    WEIR_TRY(table_check_share(window->options, &result, reterr));
    return land_window(window, &result, outcome, reterr);
}

/* The oldest files by name, as many as window.max_bytes holds, at least one. */
static void take_files(struct file_window *window)
{
    uint64_t bytes = 0, limit = window->options->pipeline->window_max_bytes;
    window->first = 0;
    for (window->last = 0; window->last < window->count; window->last++) {
        if (window->last && bytes + window->entries[window->last].size > limit)
            break;
        bytes += window->entries[window->last].size;
    }
}

static weir_status report_unnamable(const json_t *unnamable, struct weir_error *reterr)
{
    size_t count = json_array_size(unnamable);
    if (count == 0)
        return WEIR_OK;
    weir_status status = weir_fail(
        reterr, WEIR_DECISION,
        "%zu files have names that are not UTF-8, first %s: they were not read", count,
        json_string_value(json_array_get(unnamable, 0)));
    weir_error_hint(reterr, "rename them; a landed file is remembered by its name, which is text");
    return status;
}

static weir_status report_changed(const json_t *changed, struct weir_error *reterr)
{
    size_t count = json_array_size(changed);
    if (count == 0)
        return WEIR_OK;
    weir_status status = weir_fail(
        reterr, WEIR_DECISION,
        "%zu files changed after they were landed, first %s: what they hold now was not read",
        count, json_string_value(json_array_get(changed, 0)));
    weir_error_hint(reterr, "a landed file is never read twice; give new content a new name");
    return status;
}

weir_status file_windows_run(const struct weir_window_options *options, struct table_state *table,
                             json_t *outcome, struct weir_error *reterr)
{
    if (!table->table) {
        json_t *state = weir_state_new();
        weir_status born = table_birth(options, table, state, reterr);
        json_decref(state);
        WEIR_TRY(born);
    }
    WEIR_TRY(table_sync_quarantine(options, table, reterr));
    weir_status status = WEIR_OK;
    for (int windows = 0;
         status == WEIR_OK && (options->windows_max == 0 || windows < options->windows_max);
         windows++) {
        struct file_window window;
        status = window_open(&window, options, table, reterr);
        bool due = status == WEIR_OK && window.count > 0;
        if (due) {
            take_files(&window);
            status = ingest_window(&window, outcome, reterr);
        }
        if (status == WEIR_OK && due)
            status = table_reload(options, table, reterr);
        if (status == WEIR_OK && due)
            status = table_sync_quarantine(options, table, reterr);
        if (status == WEIR_OK && !due)
            status = report_changed(window.changed, reterr);
        if (status == WEIR_OK && !due)
            status = report_unnamable(window.unnamable, reterr);
        window_close(&window);
        if (!due)
            break;
        if (status == WEIR_OK)
            status = weir_context_check(options->lake->context, reterr);
    }
    return status;
}

weir_status file_windows_plan(const struct weir_window_options *options, struct table_state *table,
                              json_t *plan, struct weir_error *reterr)
{
    struct file_window window;
    weir_status status = window_open(&window, options, table, reterr);
    json_t *files = json_array();
    for (size_t i = 0; status == WEIR_OK && i < window.count; i++)
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "path", window.entries[i].path,
                                               "size", (json_int_t)window.entries[i].size, "etag",
                                               window.entries[i].etag));
    json_object_set_new(plan, "files", files);
    json_object_set_new(plan, "records", json_null());
    if (status == WEIR_OK)
        json_object_set(plan, "changed", window.changed);
    if (status == WEIR_OK)
        json_object_set(plan, "unnamable", window.unnamable);
    window_close(&window);
    return status;
}
