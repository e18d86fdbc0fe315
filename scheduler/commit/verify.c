/* `weir verify`: walks a table's snapshots from the head back and checks what each receipt claims:
 * the chain of digests, offsets and snapshots of sources that begin where the parent's ended,
 * landed + refused + filtered + erased + gaps = to - from, and every live file's presence and size.
 */
#include "scheduler/commit/verify_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verify {
    struct weir_lake *lake;
    const struct weir_table *table;
    const struct weir_verify_options *options;
    json_t *problems, *notes, *partitions;
    struct weir_row_hash landed, live; /* of the receipts; of the files, when deep */
    bool countable; /* the receipts say all rows there ever were, none were deleted */
    int64_t snapshots, receipts, foreign, rows, files, letters;
    char wanted_name[512], wanted_digest[33]; /* what the child said of the receipt before it */
};

static void say(json_t *list, const char *format, ...) WEIR_PRINTF(2, 3);
static void say(json_t *list, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_array_append_new(list, json_string(text));
}

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static int64_t gaps_of(const json_t *gaps)
{
    int64_t total = 0;
    const char *class_name;
    json_t *list;
    json_object_foreach((json_t *)(uintptr_t)gaps, class_name, list)
    {
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *range = json_array_get(list, i);
            total += json_integer_value(json_array_get(range, 1)) -
                     json_integer_value(json_array_get(range, 0));
        }
    }
    return total;
}

static void check_range(struct verify *verify, int64_t id, const char *key, const json_t *range,
                        const json_t *parent_state)
{
    int64_t from = number(range, "from"), to = number(range, "to");
    int64_t sum = number(range, "landed") + number(range, "refused") + number(range, "filtered") +
                  number(range, "erased") + gaps_of(json_object_get(range, "gaps"));
    if (sum != to - from)
        say(verify->problems, "snapshot %lld: %s [%lld, %lld): %lld offsets accounted, not %lld",
            (long long)id, key, (long long)from, (long long)to, (long long)sum,
            (long long)(to - from));
    int64_t before = weir_position_get(parent_state, key, "next");
    if (parent_state && before >= 0 && before != from)
        say(verify->problems, "snapshot %lld: %s begins at %lld, but its parent ended at %lld",
            (long long)id, key, (long long)from, (long long)before);
    json_t *total = json_object_get(verify->partitions, key);
    if (!total) {
        total = json_pack("{s:I, s:I, s:I, s:I, s:I}", "landed", (json_int_t)0, "refused",
                          (json_int_t)0, "filtered", (json_int_t)0, "erased", (json_int_t)0, "gaps",
                          (json_int_t)0);
        json_object_set_new(verify->partitions, key, total);
    }
    static const char *const names[] = {"landed", "refused", "filtered", "erased"};
    for (size_t i = 0; i < 4; i++)
        json_object_set_new(total, names[i],
                            json_integer(number(total, names[i]) + number(range, names[i])));
    json_object_set_new(
        total, "gaps",
        json_integer(number(total, "gaps") + gaps_of(json_object_get(range, "gaps"))));
}

/* A compaction changes how rows lie, and none of them. */
static void check_rewritten(struct verify *verify, const struct weir_snapshot *snapshot,
                            const json_t *receipt)
{
    const json_t *read = json_object_get(receipt, "read"),
                 *written = json_object_get(receipt, "written");
    const char *added = json_string_value(json_object_get(snapshot->summary, "added-records"));
    if (strcmp(snapshot->operation, "replace") != 0 || !written)
        return;
    if (!json_equal(read, written))
        say(verify->problems, "snapshot %lld: what it wrote is not what it read",
            (long long)snapshot->id);
    if (added && atoll(added) != number(written, "rows"))
        say(verify->problems, "snapshot %lld: %s rows added, %lld in the receipt",
            (long long)snapshot->id, added, (long long)number(written, "rows"));
}

/* A promotion begins where the one before it ended, source by source; one made anew has no from. */
static void check_sources(struct verify *verify, int64_t id, const json_t *receipt,
                          const json_t *parent_state)
{
    const json_t *reached = json_object_get(json_object_get(receipt, "state"), "sources"),
                 *before = json_object_get(parent_state, "sources");
    const char *key;
    json_t *source;
    json_object_foreach(json_object_get(receipt, "sources"), key, source)
    {
        const char *name = json_string_value(json_object_get(source, "table"));
        const json_t *from = json_object_get(source, "from"),
                     *was = json_object_get(json_object_get(before, key), "to");
        if (!json_equal(json_object_get(source, "to"),
                        json_object_get(json_object_get(reached, key), "to")))
            say(verify->problems,
                "snapshot %lld: what it read of %s is not what it says it reached", (long long)id,
                name ? name : key);
        bool anew = json_is_null(from) || (json_is_integer(from) && !json_integer_value(from));
        if (was && !anew && !json_equal(from, was))
            say(verify->problems,
                "snapshot %lld: its changes of %s do not begin where its parent's ended",
                (long long)id, name ? name : key);
    }
}

static weir_status parent_state_of(struct verify *verify, const struct weir_snapshot *snapshot,
                                   json_t **ret_state, struct weir_error *reterr)
{
    *ret_state = NULL;
    struct weir_snapshot at;
    const char *name = NULL;
    bool there = weir_metadata_snapshot(verify->table->metadata, snapshot->parent_id, &at);
    while (there && !(name = json_string_value(json_object_get(at.summary, "weir.receipt"))))
        there = weir_metadata_snapshot(verify->table->metadata, at.parent_id, &at);
    if (!name)
        return WEIR_OK;
    WEIR_AUTO(weir_buffer) text = {.account = &verify->lake->context->memory};
    const struct weir_object_store *store = &verify->lake->store;
    weir_status status = store->operations->get(store->self, name, 0, UINT64_MAX, &text, NULL,
                                                reterr);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK; /* reported when its own snapshot is reached */
    WEIR_TRY(status);
    json_t *receipt = json_loadb((const char *)text.data, text.size, 0, NULL);
    *ret_state = json_incref(json_object_get(receipt, "state"));
    json_decref(receipt);
    return WEIR_OK;
}

static void check_body(struct verify *verify, const struct weir_snapshot *snapshot,
                       const json_t *receipt, const json_t *parent_state)
{
    if (number(receipt, "snapshot") != snapshot->id)
        say(verify->problems, "snapshot %lld: its receipt speaks of snapshot %lld",
            (long long)snapshot->id, (long long)number(receipt, "snapshot"));
    const char *epoch = json_string_value(json_object_get(snapshot->summary, "weir.epoch"));
    if (epoch && atoll(epoch) != number(json_object_get(receipt, "state"), "epoch"))
        say(verify->problems, "snapshot %lld: epoch %s in the snapshot, %lld in the receipt",
            (long long)snapshot->id, epoch,
            (long long)number(json_object_get(receipt, "state"), "epoch"));
    const char *key;
    json_t *range;
    json_object_foreach(json_object_get(receipt, "ranges"), key, range)
        check_range(verify, snapshot->id, key, range, parent_state);
    check_sources(verify, snapshot->id, receipt, parent_state);
    check_rewritten(verify, snapshot, receipt);
    const char *added = json_string_value(json_object_get(snapshot->summary, "added-records"));
    const json_t *rows = json_object_get(receipt, "rows");
    const char *hash_text = json_string_value(json_object_get(receipt, "row_hash"));
    struct weir_row_hash hash = {.count = (uint64_t)json_integer_value(rows)};
    if (hash_text && weir_row_hash_parse(hash_text, &hash))
        weir_row_hash_merge(&verify->landed, &hash);
    if (rows && added && atoll(added) != json_integer_value(rows))
        say(verify->problems, "snapshot %lld: %s rows added, %lld in the receipt",
            (long long)snapshot->id, added, (long long)json_integer_value(rows));
}

/* Deep: every file the receipt names, when it is still there, has the bytes it was written with. */
static weir_status check_digest(struct verify *verify, const json_t *file,
                                struct weir_error *reterr)
{
    const char *path = json_string_value(json_object_get(file, "path")),
               *want = json_string_value(json_object_get(file, "digest"));
    const char *name = path ? weir_store_name(&verify->lake->store, path) : NULL;
    if (!name || !want) {
        say(verify->problems, "a receipt names a file without its path or digest");
        return WEIR_OK;
    }
    WEIR_AUTO(weir_buffer) bytes = {.account = &verify->lake->context->memory};
    weir_status status = verify->lake->store.operations->get(verify->lake->store.self, name, 0,
                                                             UINT64_MAX, &bytes, NULL, reterr);
    if (status == WEIR_NOT_FOUND) {
        say(verify->notes, "%s is no longer there (only a problem if a snapshot reaches it)", name);
        return WEIR_OK;
    }
    WEIR_TRY(status);
    char digest[33];
    weir_digest(bytes.data, bytes.size, digest);
    if (strcmp(digest, want) != 0)
        say(verify->problems, "%s: its bytes have digest %s, written with %s", name, digest, want);
    return WEIR_OK;
}

static weir_status check_files_deep(struct verify *verify, const json_t *receipt,
                                    struct weir_error *reterr)
{
    static const char *const lists[] = {"files", "letters"};
    for (size_t l = 0; l < 2; l++) {
        size_t at;
        json_t *file;
        json_array_foreach(json_object_get(receipt, lists[l]), at, file)
            WEIR_TRY(check_digest(verify, file, reterr));
    }
    return WEIR_OK;
}

static weir_status check_snapshot(struct verify *verify, const struct weir_snapshot *snapshot,
                                  struct weir_error *reterr)
{
    const char *name = json_string_value(json_object_get(snapshot->summary, "weir.receipt"));
    if (!name) {
        verify->foreign++;
        verify->countable &= strcmp(snapshot->operation, "replace") == 0;
        say(verify->notes, "snapshot %lld (%s): not ours", (long long)snapshot->id,
            snapshot->operation);
        return WEIR_OK;
    }
    if (*verify->wanted_name && strcmp(verify->wanted_name, name) != 0)
        say(verify->problems, "the chain of receipts names %s where snapshot %lld has %s",
            verify->wanted_name, (long long)snapshot->id, name);
    WEIR_AUTO(weir_buffer) text = {.account = &verify->lake->context->memory};
    const struct weir_object_store *store = &verify->lake->store;
    weir_status status = store->operations->get(store->self, name, 0, UINT64_MAX, &text, NULL,
                                                reterr);
    if (status == WEIR_NOT_FOUND) {
        say(verify->problems, "snapshot %lld: its receipt %s is gone", (long long)snapshot->id,
            name);
        *verify->wanted_name = '\0';
        return WEIR_OK;
    }
    WEIR_TRY(status);
    char digest[33];
    weir_digest(text.data, text.size, digest);
    if (*verify->wanted_name && strcmp(verify->wanted_digest, digest) != 0)
        say(verify->problems, "%s: digest %s, the receipt after it says %s", name, digest,
            verify->wanted_digest);
    const char *own = json_string_value(json_object_get(snapshot->summary, "weir.receipt-digest"));
    if (own && strcmp(own, digest) != 0)
        say(verify->problems, "%s: digest %s, its snapshot says %s", name, digest, own);
    json_t *receipt = json_loadb((const char *)text.data, text.size, 0, NULL), *parent_state = NULL;
    if (!receipt) {
        say(verify->problems, "%s is no receipt", name);
        return WEIR_OK;
    }
    verify->receipts++;
    status = parent_state_of(verify, snapshot, &parent_state, reterr);
    if (status == WEIR_OK)
        check_body(verify, snapshot, receipt, parent_state);
    if (status == WEIR_OK && verify->options->deep)
        status = check_files_deep(verify, receipt, reterr);
    const json_t *previous = json_object_get(receipt, "previous");
    const char *previous_name = json_string_value(json_object_get(previous, "name")),
               *previous_digest = json_string_value(json_object_get(previous, "digest"));
    snprintf(verify->wanted_name, sizeof verify->wanted_name, "%s",
             previous_name ? previous_name : "");
    snprintf(verify->wanted_digest, sizeof verify->wanted_digest, "%s",
             previous_digest ? previous_digest : "");
    json_decref(parent_state);
    json_decref(receipt);
    return status;
}

static weir_status check_file(struct verify *verify, const struct weir_data_file *file,
                              struct weir_error *reterr)
{
    const char *name = weir_store_name(&verify->lake->store, file->path);
    if (!name) {
        say(verify->notes, "%s lies outside the warehouse: not looked at", file->path);
        return WEIR_OK;
    }
    struct weir_object_info info;
    weir_status status = verify->lake->store.operations->head(verify->lake->store.self, name, &info,
                                                              reterr);
    if (status == WEIR_NOT_FOUND)
        say(verify->problems, "%s is gone, and the head needs it", name);
    else if (status != WEIR_OK)
        return status;
    else if ((int64_t)info.size != file->file_size)
        say(verify->problems, "%s has %llu bytes, the manifest says %lld", name,
            (unsigned long long)info.size, (long long)file->file_size);
    return WEIR_OK;
}

/* A file that cannot be read is a problem of the table, not of the program. */
static weir_status check_rows(struct verify *verify, const struct weir_data_file *file,
                              struct weir_error *reterr)
{
    const char *name = weir_store_name(&verify->lake->store, file->path);
    struct weir_error error = {0};
    if (!name || strcmp(file->format, "PARQUET") != 0) {
        verify->countable = false;
        return WEIR_OK;
    }
    weir_status status = verify_file_rows(verify->lake,
                                          weir_metadata_schema(verify->table->metadata), name,
                                          (uint64_t)file->file_size, &verify->live, &error);
    if (status == WEIR_CORRUPT || status == WEIR_NOT_FOUND || status == WEIR_UNSUPPORTED) {
        say(verify->problems, "%s cannot be read: %s", name, error.text);
        verify->countable = false;
        return WEIR_OK;
    }
    if (status != WEIR_OK && reterr)
        *reterr = error;
    return status;
}

static weir_status check_live(struct verify *verify, int64_t head, struct weir_error *reterr)
{
    struct weir_arena arena;
    weir_arena_init(&arena, &verify->lake->context->memory);
    struct weir_manifest_entry *entries;
    struct weir_error error = {0};
    size_t count;
    weir_status status = weir_snapshot_files(verify->lake, verify->table->metadata, head, &arena,
                                             &entries, &count, &error);
    if (status == WEIR_NOT_FOUND || status == WEIR_CORRUPT) {
        say(verify->problems, "the head's files cannot be listed: %s", error.text);
        verify->countable = false;
        count = 0;
        status = WEIR_OK;
    } else if (status != WEIR_OK && reterr) {
        *reterr = error;
    }
    for (size_t i = 0; status == WEIR_OK && i < count; i++) {
        verify->files++;
        verify->countable &= entries[i].file.content == 0;
        if (entries[i].file.content == 0)
            verify->rows += entries[i].file.record_count;
        status = check_file(verify, &entries[i].file, reterr);
        if (status == WEIR_OK && verify->options->deep && entries[i].file.content == 0)
            status = check_rows(verify, &entries[i].file, reterr);
    }
    weir_arena_done(&arena);
    return status;
}

static weir_status check_letters(struct verify *verify, const json_t *state,
                                 struct weir_error *reterr)
{
    json_t *list;
    struct weir_error error = {0};
    weir_status found = weir_letters_read(verify->lake, state, WEIR_LETTERS, &list, &error);
    if (found == WEIR_NOT_FOUND || found == WEIR_CORRUPT) { /* of this table; the rest is checked */
        say(verify->problems, "the refused rows cannot be listed: %s", error.text);
        return WEIR_OK;
    }
    if (found != WEIR_OK && reterr)
        *reterr = error;
    WEIR_TRY(found);
    struct weir_arena arena;
    weir_arena_init(&arena, &verify->lake->context->memory);
    weir_status status = WEIR_OK;
    size_t at;
    json_t *json;
    json_array_foreach(json_object_get(list, "files"), at, json)
    {
        struct weir_data_file file;
        status = weir_data_file_from_json(&arena, json, &file, reterr);
        if (status == WEIR_OK)
            status = check_file(verify, &file, reterr);
        if (status != WEIR_OK)
            break;
        verify->letters += file.record_count;
    }
    weir_arena_done(&arena);
    json_decref(list);
    return status;
}

/* Rows in the table = what the receipts landed, when every snapshot back to the birth is ours and
 * there. */
static void check_totals(struct verify *verify, bool whole)
{
    if (whole && verify->countable && (int64_t)verify->landed.count != verify->rows)
        say(verify->problems, "%lld rows are live, the receipts landed %llu",
            (long long)verify->rows, (unsigned long long)verify->landed.count);
    const struct weir_row_hash *a = &verify->live, *b = &verify->landed;
    if (verify->options->deep && whole && verify->countable &&
        (a->low != b->low || a->high != b->high || a->count != b->count)) {
        char live[33], wanted[33];
        weir_row_hash_print(a, live);
        weir_row_hash_print(b, wanted);
        say(verify->problems,
            "the rows are not those that were landed: hash %s of %llu rows, the receipts say %s of "
            "%llu",
            live, (unsigned long long)a->count, wanted, (unsigned long long)b->count);
    }
}

weir_status weir_verify(struct weir_lake *lake, const struct weir_table *table,
                        const struct weir_verify_options *options, json_t **ret_report,
                        struct weir_error *reterr)
{
    struct verify verify = {.lake = lake,
                            .table = table,
                            .options = options,
                            .problems = json_array(),
                            .notes = json_array(),
                            .partitions = json_object(),
                            .countable = true};
    int64_t head = -1;
    json_t *state = NULL;
    struct weir_snapshot snapshot;
    weir_status status = weir_metadata_ref(table->metadata, "main", &head)
                             ? WEIR_OK
                             : weir_fail(reterr, WEIR_NOT_FOUND, "%s has no branch main",
                                         table->name);
    bool there = status == WEIR_OK && weir_metadata_snapshot(table->metadata, head, &snapshot),
         whole = true;
    while (status == WEIR_OK && there) {
        verify.snapshots++;
        status = check_snapshot(&verify, &snapshot, reterr);
        const char *kind = json_string_value(json_object_get(snapshot.summary, "weir.kind"));
        /* rows of a quarantine table are those of its data table's list, not of its receipts */
        verify.countable &= !kind || strcmp(kind, "letters") != 0;
        whole &= !kind || strcmp(kind, "window") == 0 || strcmp(kind, "create") == 0 ||
                 strcmp(kind, "gap") == 0 || strcmp(kind, "rebind") == 0 ||
                 strcmp(kind, "retry") == 0 || strcmp(kind, "discard") == 0 ||
                 strcmp(kind, "letters") == 0 || strcmp(kind, "compact") == 0;
        if (snapshot.parent_id < 0 && *verify.wanted_name) {
            whole = false;
            say(verify.notes,
                "the catalog keeps no snapshot before %lld: what came before is in the receipts "
                "alone",
                (long long)snapshot.id);
        }
        if (snapshot.parent_id < 0)
            break;
        there = weir_metadata_snapshot(table->metadata, snapshot.parent_id, &snapshot);
        if (!there) {
            whole = false;
            say(verify.notes,
                "history before snapshot %lld has expired: offsets before it are proven only by "
                "what is left",
                (long long)snapshot.id);
        }
    }
    if (status == WEIR_OK)
        status = check_live(&verify, head, reterr);
    if (status == WEIR_OK)
        status = weir_truth(&lake->store, &lake->context->memory, table->metadata, "main", &state,
                            reterr);
    if (status == WEIR_OK)
        status = check_letters(&verify, state, reterr);
    if (status == WEIR_OK) {
        check_totals(&verify, whole);
        *ret_report = json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:O, s:O, s:O}", "table", table->name,
            "snapshots", (json_int_t)verify.snapshots, "receipts", (json_int_t)verify.receipts,
            "foreign", (json_int_t)verify.foreign, "rows", (json_int_t)verify.rows, "files",
            (json_int_t)verify.files, "letters", (json_int_t)verify.letters, "partitions",
            verify.partitions, "problems", verify.problems, "notes", verify.notes, "state", state);
        if (!*ret_report)
            status = weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a report");
    }
    json_decref(state);
    json_decref(verify.problems);
    json_decref(verify.notes);
    json_decref(verify.partitions);
    return status;
}

weir_status weir_verify_quarantine(struct weir_lake *lake, const struct weir_table *data,
                                   const struct weir_table *quarantine,
                                   const struct weir_verify_options *options, json_t *report,
                                   struct weir_error *reterr)
{
    json_t *own, *text, *problems = json_object_get(report, "problems");
    bool level;
    size_t at;
    struct weir_error error = {0};
    weir_status status = letters_level(lake, data, quarantine, &level, &error);
    if (status == WEIR_NOT_FOUND || status == WEIR_CORRUPT)
        say(problems, "%s cannot be compared: %s", quarantine->name, error.text);
    else if (status != WEIR_OK)
        return weir_fail(reterr, status, "%s", error.text);
    else if (!level)
        say(json_object_get(report, "notes"),
            "%s is behind the list of refused rows: the next run brings it up", quarantine->name);
    WEIR_TRY(weir_verify(lake, quarantine, options, &own, reterr));
    json_array_foreach(json_object_get(own, "problems"), at, text)
        say(problems, "%s: %s", quarantine->name, json_string_value(text));
    json_decref(own);
    return WEIR_OK;
}
