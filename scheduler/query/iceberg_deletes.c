/* What is deleted. Spec: Iceberg "Scan Planning" (which delete file applies to which data file),
 * "Position Delete Files", "Equality Delete Files", "Deletion Vectors".
 *
 * A deletion vector applies to the file it names and stands for all its position deletes. A
 * position delete file applies within its partition to files not younger than itself; an equality
 * delete file within its partition, or everywhere if its spec has none, to files older than itself.
 */
#include <stdlib.h>
#include <string.h>

#include <math.h>

#include <xxhash.h>

#include "engine/base/limits.h"
#include "scheduler/query/iceberg_int.h"

#define READ_ROWS WEIR_BATCH_ROWS

/* ---- filing --------------------------------------------------------------------------------- */

/* Spec and partition values as bytes. Numbers are widened to what their column is now: files from
 * before and after a widening are in the same partition. */
weir_status iceberg_partition_scope(struct weir_scan *scan, const struct weir_data_file *file,
                                    struct weir_bytes *ret_scope, struct weir_error *reterr)
{
    const struct weir_partition_spec *spec = weir_metadata_spec_by_id(scan->source->metadata,
                                                                      file->spec_id);
    WEIR_AUTO(weir_buffer) out = {.account = scan->account};
    char *copy;
    WEIR_TRY(weir_buffer_append(&out, &file->spec_id, sizeof file->spec_id, reterr));
    for (size_t i = 0; i < spec->field_count; i++) {
        struct weir_bytes value = file->partition[i];
        const struct weir_field *field = weir_type_by_id(&scan->source->schema.root,
                                                         spec->fields[i].source_id);
        int64_t wide;
        int32_t narrow;
        double real;
        float single;
        bool raw = strcmp(spec->fields[i].transform, "identity") == 0 ||
                   strncmp(spec->fields[i].transform, "truncate", 8) == 0;
        if (raw && field && value.data && value.size == 4 && field->type.id == WEIR_LONG) {
            memcpy(&narrow, value.data, 4);
            wide = narrow;
            value = (struct weir_bytes){(const uint8_t *)&wide, 8};
        } else if (raw && field && value.data && value.size == 4 && field->type.id == WEIR_DOUBLE) {
            memcpy(&single, value.data, 4);
            real = (double)single;
            value = (struct weir_bytes){(const uint8_t *)&real, 8};
        }
        uint64_t size = value.data ? value.size : UINT64_MAX;
        WEIR_TRY(weir_buffer_append(&out, &size, sizeof size, reterr));
        if (value.data)
            WEIR_TRY(weir_buffer_append(&out, value.data, value.size, reterr));
    }
    WEIR_TRY(weir_arena_copy(&scan->arena, out.data, out.size, &copy, reterr));
    *ret_scope = (struct weir_bytes){(const uint8_t *)copy, out.size};
    return WEIR_OK;
}

static bool same_bytes(const struct weir_bytes *a, const struct weir_bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static struct weir_bytes find_bound(const struct weir_id_bound *bounds, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (bounds[i].id == id)
            return bounds[i].bound;
    return (struct weir_bytes){0};
}

static weir_status copy_bytes(struct weir_scan *scan, struct weir_bytes *bytes,
                              struct weir_error *reterr)
{
    char *copy;
    if (!bytes->data)
        return WEIR_OK;
    WEIR_TRY(weir_arena_copy(&scan->arena, bytes->data, bytes->size, &copy, reterr));
    bytes->data = (const uint8_t *)copy;
    return WEIR_OK;
}

static weir_status copy_text(struct weir_scan *scan, const char **text, struct weir_error *reterr)
{
    char *copy;
    if (!*text)
        return WEIR_OK;
    WEIR_TRY(weir_arena_copy(&scan->arena, *text, strlen(*text), &copy, reterr));
    *text = copy;
    return WEIR_OK;
}

/* The parts of a delete file that are needed; of its bounds only those of file_path. */
static weir_status keep_delete(struct weir_scan *scan, const struct weir_data_file *file,
                               const struct weir_data_file **ret_file, struct weir_error *reterr)
{
    struct weir_data_file *kept;
    struct weir_id_bound *bounds;
    int32_t *ids;
    WEIR_TRY(weir_arena_zero(&scan->arena, 1, sizeof *kept, &kept, reterr));
    WEIR_TRY(weir_arena_zero(&scan->arena, 2, sizeof *bounds, &bounds, reterr));
    WEIR_TRY(weir_arena_zero(&scan->arena, file->equality_id_count, sizeof *ids, &ids, reterr));
    if (file->equality_id_count)
        memcpy(ids, file->equality_ids, file->equality_id_count * sizeof *ids);
    bounds[0].bound = find_bound(file->lower, file->lower_count, ICEBERG_PATH_ID);
    bounds[1].bound = find_bound(file->upper, file->upper_count, ICEBERG_PATH_ID);
    *kept = (struct weir_data_file){.content = file->content,
                                    .path = file->path,
                                    .format = file->format,
                                    .spec_id = file->spec_id,
                                    .record_count = file->record_count,
                                    .file_size = file->file_size,
                                    .lower = &bounds[0],
                                    .upper = &bounds[1],
                                    .lower_count = 1,
                                    .upper_count = 1,
                                    .equality_ids = ids,
                                    .equality_id_count = file->equality_id_count,
                                    .referenced_data_file = file->referenced_data_file,
                                    .content_offset = file->content_offset,
                                    .content_size = file->content_size};
    WEIR_TRY(copy_text(scan, &kept->path, reterr));
    WEIR_TRY(copy_text(scan, &kept->format, reterr));
    WEIR_TRY(copy_text(scan, &kept->referenced_data_file, reterr));
    WEIR_TRY(copy_bytes(scan, &bounds[0].bound, reterr));
    WEIR_TRY(copy_bytes(scan, &bounds[1].bound, reterr));
    *ret_file = kept;
    return WEIR_OK;
}

static bool is_vector(const struct weir_data_file *file)
{
    return strcasecmp(file->format, "puffin") == 0;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static weir_status new_equality(struct weir_scan *scan, const struct weir_data_file *file,
                                const struct weir_bytes *scope, struct iceberg_equality **ret,
                                struct weir_error *reterr)
{
    struct iceberg_equality *equality;
    WEIR_TRY(weir_arena_zero(&scan->arena, 1, sizeof *equality, &equality, reterr));
    equality->scope = *scope;
    equality->ids = file->equality_ids;
    equality->id_count = file->equality_id_count;
    equality->key = (struct weir_type){.id = WEIR_STRUCT,
                                       .child_count = (uint32_t)equality->id_count};
    WEIR_TRY(weir_arena_zero(&scan->arena, equality->id_count, sizeof *equality->key.children,
                             &equality->key.children, reterr));
    for (size_t i = 0; i < equality->id_count; i++) {
        weir_status status = iceberg_field_alone(scan->source, equality->ids[i], &scan->arena,
                                                 &equality->key.children[i], reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "%.300s", file->path);
            return status;
        }
    }
    weir_buffer_init(&equality->bytes, scan->account);
    pthread_mutex_init(&equality->lock, NULL);
    equality->next = scan->equalities;
    scan->equalities = equality;
    *ret = equality;
    return WEIR_OK;
}

static weir_status add_equality(struct weir_scan *scan, const struct weir_data_file *file,
                                int64_t sequence, const struct weir_bytes *scope,
                                struct weir_error *reterr)
{
    struct iceberg_equality *at = scan->equalities;
    struct iceberg_equality_file *kept;
    if (file->equality_id_count == 0)
        return weir_fail(reterr, WEIR_CORRUPT, "%.300s: equality deletes without equality_ids",
                         file->path);
    qsort((int32_t *)file->equality_ids, file->equality_id_count, sizeof(int32_t), compare_ids);
    while (at && (!same_bytes(&at->scope, scope) || at->id_count != file->equality_id_count ||
                  memcmp(at->ids, file->equality_ids, at->id_count * sizeof *at->ids) != 0))
        at = at->next;
    if (!at)
        WEIR_TRY(new_equality(scan, file, scope, &at, reterr));
    WEIR_TRY(weir_arena_zero(&scan->arena, 1, sizeof *kept, &kept, reterr));
    *kept = (struct iceberg_equality_file){file, sequence,
                                           (struct iceberg_equality_file *)at->files};
    at->files = kept;
    at->highest = sequence > at->highest ? sequence : at->highest;
    return WEIR_OK;
}

weir_status iceberg_deletes_add(struct weir_scan *scan, const struct weir_manifest_entry *entry,
                                struct weir_error *reterr)
{
    const struct weir_data_file *file;
    const struct weir_partition_spec *spec = weir_metadata_spec_by_id(scan->source->metadata,
                                                                      entry->file.spec_id);
    struct weir_bytes scope;
    if (entry->file.content == 0)
        return weir_fail(reterr, WEIR_CORRUPT, "%.300s: a data file among delete files",
                         entry->file.path);
    if (entry->file.key_metadata.size)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%.300s is encrypted", entry->file.path);
    bool vector = is_vector(&entry->file);
    if (!vector && strcasecmp(entry->file.format, "parquet") != 0)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "%.300s is %.20s: only Parquet delete files and deletion vectors are read",
                         entry->file.path, entry->file.format);
    if (vector &&
        (entry->file.content != 1 || !entry->file.referenced_data_file ||
         entry->file.content_size < 1 || entry->file.content_size > WEIR_METADATA_SIZE_MAX))
        return weir_fail(reterr, WEIR_CORRUPT,
                         "%.300s: a deletion vector without its file or place in it",
                         entry->file.path);
    WEIR_TRY(keep_delete(scan, &entry->file, &file, reterr));
    WEIR_TRY(iceberg_partition_scope(scan, &entry->file, &scope, reterr));
    if (file->content == 2) {
        if (iceberg_spec_is_unpartitioned(spec))
            scope = (struct weir_bytes){0};
        return add_equality(scan, file, entry->sequence_number, &scope, reterr);
    }
    if (scan->delete_count == scan->delete_capacity) {
        size_t larger = scan->delete_capacity ? 2 * scan->delete_capacity : 64;
        WEIR_TRY(
            weir_realloc(&scan->deletes, scan->account, larger * sizeof *scan->deletes, reterr));
        scan->delete_capacity = larger;
    }
    scan->deletes[scan->delete_count++] = (struct iceberg_delete){
        .file = file, .sequence = entry->sequence_number, .scope = scope};
    return WEIR_OK;
}

void iceberg_deletes_done(struct weir_scan *scan)
{
    for (size_t i = 0; i < scan->delete_count; i++) {
        struct iceberg_delete *one = &scan->deletes[i];
        for (size_t j = 0; j < one->run_count; j++)
            weir_free(one->runs[j].positions);
        weir_free(one->runs);
        pthread_mutex_destroy(&one->lock);
    }
    for (struct iceberg_equality *at = scan->equalities; at; at = at->next) {
        weir_buffer_done(&at->bytes);
        weir_free(at->slots);
        pthread_mutex_destroy(&at->lock);
    }
    weir_free(scan->deletes);
}

/* ---- matching ------------------------------------------------------------------------------- */

/* Vectors first, by the file they name; then files by scope. */
static int compare_deletes(const void *a, const void *b)
{
    const struct iceberg_delete *x = a, *y = b;
    bool vector = is_vector(x->file), other = is_vector(y->file);
    if (vector != other)
        return vector ? -1 : 1;
    if (vector)
        return strcmp(x->file->referenced_data_file, y->file->referenced_data_file);
    size_t shorter = x->scope.size < y->scope.size ? x->scope.size : y->scope.size;
    int order = memcmp(x->scope.data, y->scope.data, shorter);
    return order ? order : (x->scope.size > y->scope.size) - (x->scope.size < y->scope.size);
}

static struct iceberg_delete *find_vector(struct weir_scan *scan, size_t vectors,
                                          const struct iceberg_file *file)
{
    size_t low = 0, high = vectors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(scan->deletes[middle].file->referenced_data_file, file->location) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < vectors; low++) {
        struct iceberg_delete *at = &scan->deletes[low];
        if (strcmp(at->file->referenced_data_file, file->location) != 0)
            return NULL;
        if (at->sequence >= file->sequence)
            return at;
    }
    return NULL;
}

/* Whether a position delete file of the same partition may name the data file. */
static bool may_name(const struct iceberg_delete *one, const struct iceberg_file *file)
{
    const struct weir_bytes *lower = &one->file->lower[0].bound,
                            *upper = &one->file->upper[0].bound;
    size_t size = strlen(file->location);
    if (one->sequence < file->sequence)
        return false;
    if (one->file->referenced_data_file &&
        strcmp(one->file->referenced_data_file, file->location) != 0)
        return false;
    if (lower->data) {
        size_t shorter = lower->size < size ? lower->size : size;
        int order = memcmp(file->location, lower->data, shorter);
        if (order < 0 || (order == 0 && size < lower->size))
            return false;
    }
    /* the upper bound may have been cut: what begins with it is not above it */
    return !upper->data ||
           memcmp(file->location, upper->data, upper->size < size ? upper->size : size) <= 0;
}

static weir_status match_positions(struct weir_scan *scan, size_t vectors,
                                   struct iceberg_file *file, struct weir_error *reterr)
{
    struct iceberg_delete *vector = find_vector(scan, vectors, file);
    size_t low = vectors, high = scan->delete_count, end;
    if (vector) {
        WEIR_TRY(weir_arena_zero(&scan->arena, 1, sizeof vector, &file->positions, reterr));
        file->positions[file->position_count++] = vector;
        return WEIR_OK;
    }
    struct iceberg_delete key = {.scope = file->scope,
                                 .file = &(struct weir_data_file){.format = ""}};
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_deletes(&scan->deletes[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low;
         end < scan->delete_count && same_bytes(&scan->deletes[end].scope, &file->scope);)
        end++;
    size_t count = 0;
    for (size_t i = low; i < end; i++)
        count += may_name(&scan->deletes[i], file);
    WEIR_TRY(weir_arena_zero(&scan->arena, count, sizeof vector, &file->positions, reterr));
    for (size_t i = low; i < end; i++)
        if (may_name(&scan->deletes[i], file))
            file->positions[file->position_count++] = &scan->deletes[i];
    return WEIR_OK;
}

static bool equality_applies(const struct iceberg_equality *at, const struct iceberg_file *file)
{
    return at->highest > file->sequence &&
           (at->scope.size == 0 || same_bytes(&at->scope, &file->scope));
}

weir_status iceberg_deletes_match(struct weir_scan *scan, struct weir_error *reterr)
{
    size_t vectors = 0;
    if (scan->delete_count)
        qsort(scan->deletes, scan->delete_count, sizeof *scan->deletes, compare_deletes);
    for (size_t i = 0; i < scan->delete_count; i++) {
        pthread_mutex_init(&scan->deletes[i].lock, NULL);
        vectors += is_vector(scan->deletes[i].file);
    }
    for (size_t i = 0; i < scan->file_count; i++) {
        struct iceberg_file *file = &scan->files[i];
        size_t count = 0;
        WEIR_TRY(match_positions(scan, vectors, file, reterr));
        for (struct iceberg_equality *at = scan->equalities; at; at = at->next)
            count += equality_applies(at, file);
        WEIR_TRY(weir_arena_zero(&scan->arena, count, sizeof *file->equalities, &file->equalities,
                                 reterr));
        for (struct iceberg_equality *at = scan->equalities; at; at = at->next)
            if (equality_applies(at, file))
                file->equalities[file->equality_count++] = at;
    }
    return WEIR_OK;
}

/* ---- reading delete files ------------------------------------------------------------------- */

typedef weir_status (*visit_batch)(void *self, const struct weir_batch *batch,
                                   struct weir_error *reterr);

static weir_status read_groups(struct weir_scan *scan, struct weir_parquet_file *parquet,
                               const struct weir_type *wanted, visit_batch visit, void *self,
                               struct weir_error *reterr)
{
    struct weir_parquet_read read = {.wanted = wanted, .batch_rows = READ_ROWS};
    struct weir_arena arena;
    weir_status status = WEIR_OK;
    weir_arena_init(&arena, scan->account);
    for (size_t i = 0; status == WEIR_OK && i < weir_parquet_file_group_count(parquet); i++) {
        struct weir_parquet_cursor *cursor = NULL;
        bool end = false;
        status = weir_parquet_cursor_open(scan->account, parquet, i, &read, &cursor, reterr);
        while (status == WEIR_OK && cursor && !end) {
            struct weir_batch batch;
            weir_arena_reset(&arena);
            status = weir_parquet_cursor_next(cursor, &arena, &batch, &end, reterr);
            if (status == WEIR_OK && !end)
                status = visit(self, &batch, reterr);
        }
        weir_parquet_cursor_free(cursor);
    }
    weir_arena_done(&arena);
    return status;
}

static weir_status read_delete_file(struct weir_scan *scan, const struct weir_data_file *file,
                                    const struct weir_type *wanted, visit_batch visit, void *self,
                                    struct weir_error *reterr)
{
    struct iceberg_object object;
    struct weir_parquet_file *parquet = NULL;
    struct weir_arena arena;
    weir_status status;
    weir_arena_init(&arena, scan->account);
    WEIR_TRY_OUT(status, iceberg_locate(scan->source, file->path, &arena, &object.store,
                                        &object.name, reterr));
    WEIR_TRY_OUT(status,
                 weir_parquet_file_open(scan->account,
                                        (struct weir_parquet_source){iceberg_object_read, &object,
                                                                     (uint64_t)file->file_size},
                                        &parquet, reterr));
    WEIR_TRY_OUT(status, read_groups(scan, parquet, wanted, visit, self, reterr));
out:
    weir_parquet_file_free(parquet);
    weir_arena_done(&arena);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "delete file %.300s", file->path);
    return status;
}

/* The flat row that row `row` of any vector stands for; NULL = null. */
static const struct weir_vector *flat_row(const struct weir_vector *vector, uint32_t *row)
{
    if (!weir_vector_valid(vector, *row))
        return NULL;
    if (vector->kind == WEIR_CONSTANT)
        *row = 0;
    if (vector->kind != WEIR_DICTIONARY)
        return vector;
    *row = vector->indices[*row];
    return vector->dictionary;
}

/* ---- positions ------------------------------------------------------------------------------ */

struct position_reader {
    struct weir_scan *scan;
    struct iceberg_delete *one;
    size_t *by_name; /* files of the scan, by location */
    size_t run;      /* being added to; SIZE_MAX = rows of a file that is not in the scan */
    bool begun;
    struct weir_buffer path; /* of the row before */
};

static int compare_files(const void *a, const void *b, void *files)
{
    const struct iceberg_file *all = files;
    return strcmp(all[*(const size_t *)a].location, all[*(const size_t *)b].location);
}

static weir_status begin_run(struct position_reader *reader, const uint8_t *path, size_t size,
                             struct weir_error *reterr)
{
    struct iceberg_delete *one = reader->one;
    weir_buffer_clear(&reader->path);
    WEIR_TRY(weir_buffer_append(&reader->path, path, size, reterr));
    WEIR_TRY(weir_buffer_append(&reader->path, "", 1, reterr));
    reader->path.size = size;
    reader->begun = true;
    reader->run = SIZE_MAX;
    size_t low = 0, high = reader->scan->file_count;
    const char *text = (const char *)reader->path.data;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(reader->scan->files[reader->by_name[middle]].location, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == reader->scan->file_count ||
        strcmp(reader->scan->files[reader->by_name[low]].location, text) != 0)
        return WEIR_OK;
    if (one->run_count == one->run_capacity) {
        size_t larger = one->run_capacity ? 2 * one->run_capacity : 8;
        WEIR_TRY(
            weir_realloc(&one->runs, reader->scan->account, larger * sizeof *one->runs, reterr));
        one->run_capacity = larger;
    }
    one->runs[one->run_count] = (struct iceberg_run){.file = reader->by_name[low]};
    reader->run = one->run_count++;
    return WEIR_OK;
}

static weir_status add_position(struct position_reader *reader, int64_t position,
                                struct weir_error *reterr)
{
    if (reader->run == SIZE_MAX || position < 0)
        return WEIR_OK;
    struct iceberg_run *run = &reader->one->runs[reader->run];
    if (run->count == run->capacity) {
        size_t larger = run->capacity ? 2 * run->capacity : 64;
        WEIR_TRY(weir_realloc(&run->positions, reader->scan->account,
                              larger * sizeof *run->positions, reterr));
        run->capacity = larger;
    }
    run->positions[run->count++] = (uint64_t)position;
    return WEIR_OK;
}

static weir_status add_positions(void *self, const struct weir_batch *batch,
                                 struct weir_error *reterr)
{
    struct position_reader *reader = self;
    for (uint32_t i = 0; i < batch->count; i++) {
        uint32_t row = i, at = i;
        const struct weir_vector *path = flat_row(&batch->columns[0], &row),
                                 *position = flat_row(&batch->columns[1], &at);
        if (!path || !position)
            return weir_fail(reterr, WEIR_CORRUPT, "a position delete without path or position");
        const uint8_t *text = (const uint8_t *)path->values + path->offsets[row];
        size_t size = (size_t)(path->offsets[row + 1] - path->offsets[row]);
        if (!reader->begun || size != reader->path.size ||
            memcmp(text, reader->path.data, size) != 0)
            WEIR_TRY(begin_run(reader, text, size, reterr));
        WEIR_TRY(add_position(reader, ((const int64_t *)position->values)[at], reterr));
    }
    return WEIR_OK;
}

static weir_status load_positions(struct weir_scan *scan, struct iceberg_delete *one,
                                  struct weir_error *reterr)
{
    struct weir_field fields[] = {
        {.name = "file_path", .id = ICEBERG_PATH_ID, .type = {.id = WEIR_STRING}},
        {.name = "pos", .id = ICEBERG_POS_ID, .type = {.id = WEIR_LONG}}};
    struct weir_type wanted = {.id = WEIR_STRUCT, .child_count = 2, .children = fields};
    struct position_reader reader = {.scan = scan, .one = one};
    struct weir_arena arena;
    weir_arena_init(&arena, scan->account);
    weir_buffer_init(&reader.path, scan->account);
    weir_status status = weir_arena_zero(&arena, scan->file_count, sizeof *reader.by_name,
                                         &reader.by_name, reterr);
    if (status == WEIR_OK) {
        for (size_t i = 0; i < scan->file_count; i++)
            reader.by_name[i] = i;
        qsort_r(reader.by_name, scan->file_count, sizeof *reader.by_name, compare_files,
                scan->files);
        status = read_delete_file(scan, one->file, &wanted, add_positions, &reader, reterr);
    }
    weir_buffer_done(&reader.path);
    weir_arena_done(&arena);
    return status;
}

static weir_status ensure_positions(struct weir_scan *scan, struct iceberg_delete *one,
                                    struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&one->lock);
    if (!one->loaded) {
        for (size_t i = 0; i < one->run_count; i++) /* of an attempt that failed */
            weir_free(one->runs[i].positions);
        one->run_count = 0;
        status = load_positions(scan, one, reterr);
        one->loaded = status == WEIR_OK;
    }
    pthread_mutex_unlock(&one->lock);
    return status;
}

static weir_status apply_vector(struct weir_scan *scan, const struct weir_data_file *file,
                                struct weir_row_set *set, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) bytes = {.account = scan->account};
    WEIR_TRY(iceberg_get(scan->source, file->path, (uint64_t)file->content_offset,
                         (uint64_t)file->content_size, &bytes, reterr));
    weir_status status = weir_row_set_add_vector(set, bytes.data, bytes.size, reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%.300s at %lld", file->path, (long long)file->content_offset);
    return status;
}

/* ---- equality ------------------------------------------------------------------------------- */

/* A key's value of one row, null or not, so that equal values have equal bytes. `key` is pruned to
 * the path from the column; the vector may have more fields. */
static weir_status put_value(struct weir_buffer *out, const struct weir_type *key,
                             const struct weir_vector *vector, uint32_t row,
                             struct weir_error *reterr)
{
    uint8_t scratch[16];
    for (; vector && vector->type->id == WEIR_STRUCT; key = &key->children[0].type) {
        uint32_t at = 0;
        while (vector->type->children[at].id != key->children[0].id)
            at++;
        vector = flat_row(vector, &row);
        vector = vector ? &vector->children[at] : NULL;
    }
    vector = vector ? flat_row(vector, &row) : NULL;
    if (!vector)
        return weir_buffer_append(out, "\0", 1, reterr);
    uint32_t size = weir_type_width(vector->type);
    const uint8_t *from = (const uint8_t *)vector->values + (size_t)row * size;
    if (vector->offsets) {
        from = (const uint8_t *)vector->values + vector->offsets[row];
        size = (uint32_t)(vector->offsets[row + 1] - vector->offsets[row]);
    } else if (vector->type->id == WEIR_BOOLEAN) {
        scratch[0] = weir_bit_get(vector->values, row);
        from = scratch;
        size = 1;
    } else if (vector->type->id == WEIR_FLOAT || vector->type->id == WEIR_DOUBLE) {
        memcpy(scratch, from, size);
        float single = vector->type->id == WEIR_FLOAT ? *(const float *)(const void *)from : 0;
        double real = vector->type->id == WEIR_DOUBLE ? *(const double *)(const void *)from : 0;
        if (isnan(single) || isnan(real))
            memset(scratch, 0xff, size);
        from = scratch;
    }
    WEIR_TRY(weir_buffer_append(out, "\1", 1, reterr));
    WEIR_TRY(weir_buffer_append(out, &size, sizeof size, reterr));
    return weir_buffer_append(out, from, size, reterr);
}

static struct iceberg_key *find_key(const struct iceberg_equality *equality, uint64_t hash,
                                    const uint8_t *key, size_t size)
{
    size_t mask = equality->slot_count - 1, at = hash & mask;
    for (;; at = (at + 1) & mask) {
        struct iceberg_key *slot = &equality->slots[at];
        if (slot->sequence == 0 || (slot->hash == hash && slot->size == size &&
                                    memcmp(equality->bytes.data + slot->offset, key, size) == 0))
            return slot;
    }
}

static weir_status grow_keys(struct weir_scan *scan, struct iceberg_equality *equality,
                             struct weir_error *reterr)
{
    if (equality->slot_count && equality->used < equality->slot_count / 2)
        return WEIR_OK;
    struct iceberg_equality larger = *equality;
    larger.slot_count = equality->slot_count ? 2 * equality->slot_count : 1024;
    WEIR_TRY(weir_alloc_zero(scan->account, larger.slot_count, sizeof *larger.slots, &larger.slots,
                             reterr));
    for (size_t i = 0; i < equality->slot_count; i++) {
        const struct iceberg_key *slot = &equality->slots[i];
        if (slot->sequence)
            *find_key(&larger, slot->hash, larger.bytes.data + slot->offset, slot->size) = *slot;
    }
    weir_free(equality->slots);
    equality->slots = larger.slots;
    equality->slot_count = larger.slot_count;
    return WEIR_OK;
}

struct key_reader {
    struct weir_scan *scan;
    struct iceberg_equality *equality;
    int64_t sequence;
    struct weir_buffer key;
};

/* Sequence numbers of slots are one higher than they are: 0 marks an empty slot. */
static weir_status add_keys(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    struct key_reader *reader = self;
    struct iceberg_equality *equality = reader->equality;
    for (uint32_t row = 0; row < batch->count; row++) {
        weir_buffer_clear(&reader->key);
        for (size_t i = 0; i < equality->id_count; i++)
            WEIR_TRY(put_value(&reader->key, &equality->key.children[i].type, &batch->columns[i],
                               row, reterr));
        WEIR_TRY(grow_keys(reader->scan, equality, reterr));
        uint64_t hash = XXH3_64bits(reader->key.data, reader->key.size);
        struct iceberg_key *slot = find_key(equality, hash, reader->key.data, reader->key.size);
        if (slot->sequence == 0) {
            *slot = (struct iceberg_key){
                .hash = hash, .offset = equality->bytes.size, .size = (uint32_t)reader->key.size};
            WEIR_TRY(
                weir_buffer_append(&equality->bytes, reader->key.data, reader->key.size, reterr));
            equality->used++;
        }
        if (slot->sequence < reader->sequence + 1)
            slot->sequence = reader->sequence + 1;
    }
    return WEIR_OK;
}

static weir_status ensure_keys(struct weir_scan *scan, struct iceberg_equality *equality,
                               struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    struct key_reader reader = {.scan = scan, .equality = equality};
    weir_buffer_init(&reader.key, scan->account);
    pthread_mutex_lock(&equality->lock);
    for (const struct iceberg_equality_file *at = equality->files;
         !equality->loaded && at && status == WEIR_OK; at = at->next) {
        reader.sequence = at->sequence;
        status = read_delete_file(scan, at->file, &equality->key, add_keys, &reader, reterr);
    }
    equality->loaded = equality->loaded || status == WEIR_OK;
    pthread_mutex_unlock(&equality->lock);
    weir_buffer_done(&reader.key);
    return status;
}

weir_status iceberg_deletes_select(const struct iceberg_file *file, const struct iceberg_open *open,
                                   const struct weir_batch *batch, const struct weir_selection *in,
                                   struct weir_arena *arena, struct weir_selection *ret_selection,
                                   struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) key = {.account = arena->account};
    uint32_t count = in ? in->count : batch->count, kept = 0, *rows;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *rows, &rows, reterr));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = in && in->rows ? in->rows[i] : i;
        bool deleted = false;
        for (size_t j = 0; !deleted && j < file->equality_count; j++) {
            const struct iceberg_equality *equality = file->equalities[j];
            if (equality->used == 0)
                continue;
            weir_buffer_clear(&key);
            for (size_t k = 0; k < equality->id_count; k++)
                WEIR_TRY(put_value(&key, &equality->key.children[k].type,
                                   &batch->columns[open->equality_columns[j][k]], row, reterr));
            const struct iceberg_key *slot = find_key(equality, XXH3_64bits(key.data, key.size),
                                                      key.data, key.size);
            deleted = slot->sequence > file->sequence + 1;
        }
        if (!deleted)
            rows[kept++] = row;
    }
    *ret_selection = (struct weir_selection){kept, rows};
    return WEIR_OK;
}

weir_status iceberg_deletes_load(struct weir_scan *scan, struct iceberg_file *file,
                                 struct iceberg_open *open, struct weir_error *reterr)
{
    size_t number = (size_t)(file - scan->files);
    WEIR_TRY(weir_row_set_init(&open->deleted, &open->arena, weir_parquet_file_rows(open->parquet),
                               reterr));
    for (size_t i = 0; i < file->position_count; i++) {
        struct iceberg_delete *one = file->positions[i];
        if (is_vector(one->file)) {
            WEIR_TRY(apply_vector(scan, one->file, &open->deleted, reterr));
            continue;
        }
        WEIR_TRY(ensure_positions(scan, one, reterr));
        for (size_t j = 0; j < one->run_count; j++)
            for (size_t k = 0; one->runs[j].file == number && k < one->runs[j].count; k++)
                WEIR_TRY(weir_row_set_add(&open->deleted, one->runs[j].positions[k], reterr));
    }
    for (size_t i = 0; i < file->equality_count; i++)
        WEIR_TRY(ensure_keys(scan, file->equalities[i], reterr));
    return WEIR_OK;
}
