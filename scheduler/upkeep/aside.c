/* Refused, set aside and late rows grow old too: files of them that were written longer ago than
 * `quarantine` says leave the lists in force, and then the tables that follow the lists
 * ({table}__quarantine, {table}__late). A file goes whole, by the time at which the store got it.
 */
#include "scheduler/upkeep/upkeep_int.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *which, *suffix;
} kinds[] = {{WEIR_LETTERS, "__quarantine"}, {WEIR_LATE, "__late"}};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

struct aging {
    const struct weir_upkeep_options *options;
    struct weir_lake *lake;
    struct weir_table **table;
    json_t *old[KIND_COUNT]; /* object: location -> true, of files that go */
    json_t *times;           /* object: name in the store -> when it came */
    int64_t rows;
};

static weir_status note_time(void *argument, const struct weir_object_info *info)
{
    struct aging *aging = argument;
    return json_object_set_new(aging->times, info->name,
                               json_integer((json_int_t)info->modified_ms)) == 0
               ? WEIR_OK
               : WEIR_NO_MEMORY;
}

/* Files of one list that are too old. One that the store does not show, or without a time, stays:
 * it is asked again. */
static weir_status find_old(struct aging *aging, const json_t *truth, size_t kind,
                            struct weir_error *reterr)
{
    char prefix[512];
    json_t *list, *file;
    size_t at;
    int64_t line = weir_now_ms(aging->lake->context) -
                   aging->options->table->lifecycle.quarantine_ms;
    if (!json_object_get(truth, kinds[kind].which))
        return WEIR_OK;
    snprintf(prefix, sizeof prefix, "_weir/%s/%s/", kinds[kind].which,
             weir_metadata_uuid((*aging->table)->metadata));
    WEIR_TRY(aging->lake->store.operations->list(aging->lake->store.self, prefix, note_time, aging,
                                                 reterr));
    WEIR_TRY(weir_letters_read(aging->lake, truth, kinds[kind].which, &list, reterr));
    json_array_foreach(json_object_get(list, "files"), at, file)
    {
        const char *path = json_string_value(json_object_get(file, "path")),
                   *name = weir_store_name(&aging->lake->store, path);
        int64_t time = name ? json_integer_value(json_object_get(aging->times, name)) : 0;
        if (time == 0 || time >= line)
            continue;
        json_object_set_new(aging->old[kind], path, json_true());
        aging->rows += json_integer_value(json_object_get(file, "rows"));
    }
    json_decref(list);
    return WEIR_OK;
}

static weir_status overlay(void *self, json_t *state, int64_t snapshot_id,
                           struct weir_error *reterr)
{
    struct aging *aging = self;
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (json_object_size(aging->old[i]))
            WEIR_TRY(weir_letters_change(aging->lake, weir_metadata_uuid((*aging->table)->metadata),
                                         snapshot_id, kinds[i].which, aging->old[i], NULL, state,
                                         reterr));
    return WEIR_OK;
}

static weir_status land(struct aging *aging, const json_t *truth, struct weir_error *reterr)
{
    enum weir_landing landing;
    json_t *receipt = json_pack("{s:{s:I, s:O, s:O}, s:s}", "retention", "refused",
                                (json_int_t)aging->rows, "letters", aging->old[0], "late",
                                aging->old[1], "version", "0.1.0");
    struct weir_work work = {.kind = "retention",
                             .operation = "append",
                             .epoch = json_integer_value(json_object_get(truth, "epoch")),
                             .overlay = overlay,
                             .self = aging,
                             .receipt = receipt};
    weir_status status = receipt
                             ? weir_land(aging->lake, aging->table, &work, &landing, NULL, reterr)
                             : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    json_decref(receipt);
    if (status == WEIR_OK && landing != WEIR_LANDED)
        aging->rows = 0; /* somebody else was at it: the next run looks again */
    return status;
}

/* The tables that follow the lists, where they are there. */
static weir_status level(struct aging *aging, size_t kind, struct weir_error *reterr)
{
    char name[WEIR_NAME_SIZE_MAX + 64];
    struct weir_table *follower = NULL;
    struct weir_catalog *catalog = &aging->lake->catalog;
    snprintf(name, sizeof name, "%.*s%s", (int)WEIR_NAME_SIZE_MAX, aging->options->table->name,
             kinds[kind].suffix);
    struct weir_birth birth = {.name = name};
    weir_status status = catalog->operations->load(catalog->self, name, &follower, reterr);
    if (status == WEIR_NOT_FOUND) /* the next run makes it, as it is to be */
        return WEIR_OK;
    WEIR_TRY(status);
    status = weir_quarantine_sync(aging->lake, *aging->table, kinds[kind].which, &birth, &follower,
                                  reterr);
    weir_table_free(follower);
    return status == WEIR_PRECONDITION ? WEIR_OK : status;
}

static weir_status age(struct aging *aging, const json_t *truth, struct weir_error *reterr)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        WEIR_TRY(find_old(aging, truth, i, reterr));
    if (aging->rows == 0 || aging->options->dry_run)
        return WEIR_OK;
    WEIR_TRY(land(aging, truth, reterr));
    for (size_t i = 0; i < KIND_COUNT && aging->rows; i++)
        if (json_object_size(aging->old[i]))
            WEIR_TRY(level(aging, i, reterr));
    return WEIR_OK;
}

weir_status upkeep_aside(const struct weir_upkeep_options *options, struct weir_table **table,
                         int64_t *ret_rows, struct weir_error *reterr)
{
    struct aging aging = {.options = options,
                          .lake = options->lake,
                          .table = table,
                          .old = {json_object(), json_object()},
                          .times = json_object()};
    json_t *truth = NULL;
    *ret_rows = 0;
    weir_status status = aging.old[0] && aging.old[1] && aging.times
                             ? weir_truth(&options->lake->store, &options->lake->context->memory,
                                          (*table)->metadata, "main", &truth, reterr)
                             : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for refused rows");
    if (status == WEIR_OK)
        status = age(&aging, truth, reterr);
    if (status == WEIR_OK)
        *ret_rows = aging.rows;
    json_decref(truth);
    json_decref(aging.times);
    json_decref(aging.old[0]);
    json_decref(aging.old[1]);
    return status;
}
