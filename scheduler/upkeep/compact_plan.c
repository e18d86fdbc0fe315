/* Choosing files: by partition value, small ones until a file of the target's size, and with them
 * those that carry deletes or lie under an old spec.
 *
 * What is put together again and again costs more than many files do: of those that are small, the
 * smallest are taken, until half as many are left as would be due; a larger one goes along when
 * those before it together reach its size. So a row is written a few times, not with every window.
 */
#include "scheduler/upkeep/compact_plan.h"

#include "formats/iceberg/prune.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DELETED_PATH_ID 2147483546 /* file_path of position deletes */

struct candidate {
    const struct weir_manifest_entry *entry;
    uint64_t scope;
    struct weir_bytes order; /* bound; data NULL: none */
    bool forced, deletes, taken;
};

struct planning {
    struct weir_arena *arena;
    const struct compact_rules *rules;
    const struct weir_manifest_entry *entries;
    size_t count;
    uint64_t *scopes; /* of each entry: spec and partition value */
    size_t *deletes;  /* numbers of the entries that are delete files */
    size_t delete_count;
    struct candidate *candidates;
    size_t candidate_count;
    struct compact_plan plan;
    size_t group_capacity;
};

static uint64_t scope_of(const struct weir_data_file *file)
{
    uint64_t hash = XXH3_64bits(&file->spec_id, sizeof file->spec_id);
    for (size_t i = 0; i < file->partition_count; i++) {
        const struct weir_bytes *value = &file->partition[i];
        uint64_t size = value->data ? value->size : UINT64_MAX;
        hash = XXH3_64bits_withSeed(&size, sizeof size, hash);
        if (value->data)
            hash = XXH3_64bits_withSeed(value->data, value->size, hash);
    }
    return hash;
}

/* Equality deletes of a spec without partitions hold for the whole table. */
static bool is_global(const struct compact_rules *rules, const struct weir_data_file *file)
{
    for (size_t s = 0; s < rules->spec_count; s++) {
        const struct weir_partition_spec *spec = &rules->specs[s];
        bool partitioned = false;
        for (size_t i = 0; i < spec->field_count; i++)
            partitioned |= strcmp(spec->fields[i].transform, "void") != 0;
        if (spec->id == file->spec_id)
            return file->content == 2 && !partitioned;
    }
    return false;
}

static struct weir_bytes bound_of(const struct weir_id_bound *bounds, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (bounds[i].id == id)
            return bounds[i].bound;
    return (struct weir_bytes){0};
}

/* May the position delete file name this path? Its bounds tell, where there are any. */
static bool may_name(const struct weir_data_file *deletes, const char *path)
{
    struct weir_bytes lower = bound_of(deletes->lower, deletes->lower_count, DELETED_PATH_ID),
                      upper = bound_of(deletes->upper, deletes->upper_count, DELETED_PATH_ID);
    size_t size = strlen(path);
    if (deletes->referenced_data_file)
        return strcmp(deletes->referenced_data_file, path) == 0;
    if (lower.data) {
        int order = memcmp(path, lower.data, size < lower.size ? size : lower.size);
        if (order < 0 || (order == 0 && size < lower.size))
            return false;
    }
    /* an upper bound that was cut is rounded up */
    if (upper.data && memcmp(path, upper.data, size < upper.size ? size : upper.size) > 0)
        return false;
    return true;
}

static bool applies(const struct planning *planning, size_t deletes, size_t data)
{
    const struct weir_manifest_entry *one = &planning->entries[deletes],
                                     *file = &planning->entries[data];
    if (planning->scopes[deletes] != planning->scopes[data] &&
        !is_global(planning->rules, &one->file))
        return false;
    if (one->file.content == 2)
        return file->sequence_number < one->sequence_number;
    return file->sequence_number <= one->sequence_number && may_name(&one->file, file->file.path);
}

static bool has_deletes(const struct planning *planning, size_t data)
{
    for (size_t i = 0; i < planning->delete_count; i++)
        if (applies(planning, planning->deletes[i], data))
            return true;
    return false;
}

static bool is_readable(const struct weir_data_file *file)
{
    return file->content == 0 && strcasecmp(file->format, "parquet") == 0 &&
           file->key_metadata.size == 0;
}

static weir_status planning_begin(struct planning *planning, struct weir_arena *arena,
                                  const struct weir_manifest_entry *entries, size_t count,
                                  const struct compact_rules *rules, struct weir_error *reterr)
{
    *planning = (struct planning){
        .arena = arena, .rules = rules, .entries = entries, .count = count};
    WEIR_TRY(
        weir_arena_zero(arena, count + 1, sizeof *planning->scopes, &planning->scopes, reterr));
    WEIR_TRY(
        weir_arena_zero(arena, count + 1, sizeof *planning->deletes, &planning->deletes, reterr));
    for (size_t i = 0; i < count; i++) {
        planning->scopes[i] = scope_of(&entries[i].file);
        if (entries[i].file.content != 0)
            planning->deletes[planning->delete_count++] = i;
    }
    return WEIR_OK;
}

/* ---- candidates ---- */

static int compare_places(const struct candidate *one, const struct candidate *other)
{
    const struct weir_manifest_entry *a = one->entry, *b = other->entry;
    if (a->sequence_number != b->sequence_number)
        return a->sequence_number < b->sequence_number ? -1 : 1;
    return strcmp(a->file.path, b->file.path);
}

static int by_scope(const void *a, const void *b)
{
    const struct candidate *one = a, *other = b;
    if (one->scope != other->scope)
        return one->scope < other->scope ? -1 : 1;
    return compare_places(one, other);
}

static int by_size(const void *a, const void *b)
{
    const struct candidate *one = *(struct candidate *const *)a,
                           *other = *(struct candidate *const *)b;
    int64_t x = one->entry->file.file_size, y = other->entry->file.file_size;
    return x != y ? (x > y) - (x < y) : compare_places(one, other);
}

/* Where the file begins in the order of the rules; bytes of another writer may be no value. */
static struct weir_bytes order_of(const struct compact_rules *rules,
                                  const struct weir_data_file *file)
{
    struct weir_bytes bound = rules->order_id
                                  ? bound_of(file->lower, file->lower_count, rules->order_id)
                                  : (struct weir_bytes){0};
    return bound.data && weir_bound_usable(rules->order_type, &bound) ? bound
                                                                      : (struct weir_bytes){0};
}

static weir_status find_candidates(struct planning *planning, struct weir_error *reterr)
{
    const struct compact_rules *rules = planning->rules;
    WEIR_TRY(weir_arena_zero(planning->arena, planning->count + 1, sizeof *planning->candidates,
                             &planning->candidates, reterr));
    for (size_t i = 0; i < planning->count; i++) {
        const struct weir_manifest_entry *entry = &planning->entries[i];
        if (!is_readable(&entry->file))
            continue;
        bool deletes = planning->delete_count && has_deletes(planning, i),
             forced = deletes || entry->file.spec_id != rules->spec_id,
             is_small = (uint64_t)entry->file.file_size < rules->target / 4 * 3;
        if (!forced && !is_small)
            continue;
        planning->candidates[planning->candidate_count++] = (struct candidate){
            .entry = entry,
            .scope = planning->scopes[i],
            .order = order_of(rules, &entry->file),
            .forced = forced,
            .deletes = deletes};
    }
    qsort(planning->candidates, planning->candidate_count, sizeof *planning->candidates, by_scope);
    return WEIR_OK;
}

/* ---- one partition ---- */

/* Marks what is to be written of `count` candidates; how many. */
static size_t take(const struct compact_rules *rules, struct candidate **by_sizes, size_t count)
{
    size_t taken = 0, wanted = count;
    int64_t bytes = 0;
    if (!rules->all && (int64_t)count < rules->small_files)
        return 0;
    if (!rules->all)
        wanted = count - (size_t)rules->small_files / 2 + 1;
    for (size_t i = 0; i < count; i++) {
        struct candidate *candidate = by_sizes[i];
        candidate->taken = candidate->forced || i < wanted ||
                           candidate->entry->file.file_size <= bytes;
        bytes += candidate->taken ? candidate->entry->file.file_size : 0;
        taken += candidate->taken;
    }
    return taken;
}

static weir_status add_group(struct planning *planning, struct candidate **files, size_t count,
                             struct weir_error *reterr)
{
    struct compact_plan *plan = &planning->plan;
    struct compact_group group = {.count = count};
    if (count == 0 || (count == 1 && !files[0]->forced))
        return WEIR_OK;
    if (plan->count == planning->group_capacity) {
        size_t capacity = planning->group_capacity ? 2 * planning->group_capacity : 16;
        struct compact_group *larger;
        WEIR_TRY(weir_arena_zero(planning->arena, capacity, sizeof *larger, &larger, reterr));
        if (plan->count)
            memcpy(larger, plan->groups, plan->count * sizeof *larger);
        plan->groups = larger;
        planning->group_capacity = capacity;
    }
    WEIR_TRY(weir_arena_zero(planning->arena, count, sizeof(*group.files), &group.files, reterr));
    for (size_t i = 0; i < count; i++) {
        group.files[i] = files[i]->entry;
        group.bytes += files[i]->entry->file.file_size;
        group.rows += files[i]->entry->file.record_count;
        group.deletes |= files[i]->deletes;
    }
    plan->groups[plan->count++] = group;
    plan->debt += (int64_t)count;
    return WEIR_OK;
}

static int compare_order(const struct compact_rules *rules, const struct candidate *one,
                         const struct candidate *other)
{
    int order = 0;
    if (one->order.data && other->order.data)
        order = weir_value_compare(rules->order_type, &one->order, &other->order);
    else if (one->order.data || other->order.data)
        order = one->order.data ? -1 : 1;
    return order ? order : compare_places(one, other);
}

static void merge_halves(const struct compact_rules *rules, struct candidate **list, size_t middle,
                         size_t count, struct candidate **spare)
{
    size_t a = 0, b = middle, at = 0;
    while (a < middle && b < count)
        spare[at++] = compare_order(rules, list[a], list[b]) <= 0 ? list[a++] : list[b++];
    while (a < middle)
        spare[at++] = list[a++];
    while (b < count)
        spare[at++] = list[b++];
    memcpy(list, spare, count * sizeof(*list));
}

static void sort_order(const struct compact_rules *rules, struct candidate **list, size_t count,
                       struct candidate **spare)
{
    if (count < 2)
        return;
    sort_order(rules, list, count / 2, spare);
    sort_order(rules, list + count / 2, count - count / 2, spare);
    merge_halves(rules, list, count / 2, count, spare);
}

/* Into groups of about the target's size, in order. */
static weir_status pack(struct planning *planning, struct candidate **list, size_t count,
                        struct weir_error *reterr)
{
    size_t from = 0;
    uint64_t bytes = 0, target = planning->rules->target;
    for (size_t i = 0; i < count; i++) {
        uint64_t size = (uint64_t)list[i]->entry->file.file_size;
        if (i > from && (bytes >= target / 4 * 3 || bytes + size > target / 2 * 3)) {
            WEIR_TRY(add_group(planning, list + from, i - from, reterr));
            from = i;
            bytes = 0;
        }
        bytes += size;
    }
    return add_group(planning, list + from, count - from, reterr);
}

static weir_status plan_partition(struct planning *planning, struct candidate *candidates,
                                  size_t count, struct weir_error *reterr)
{
    struct candidate **list, **spare;
    size_t forced = 0, taken = 0;
    WEIR_TRY(weir_arena_zero(planning->arena, count, sizeof(*list), &list, reterr));
    WEIR_TRY(weir_arena_zero(planning->arena, count, sizeof(*spare), &spare, reterr));
    for (size_t i = 0; i < count; i++) {
        list[i] = &candidates[i];
        forced += candidates[i].forced;
    }
    qsort(list, count, sizeof(*list), by_size);
    size_t wanted = take(planning->rules, list, count);
    if (wanted == 0 || (wanted == 1 && forced == 0))
        return WEIR_OK;
    for (size_t i = 0; i < count; i++)
        if (candidates[i].taken)
            list[taken++] = &candidates[i];
    sort_order(planning->rules, list, taken, spare);
    return pack(planning, list, taken, reterr);
}

weir_status compact_plan_make(struct weir_arena *arena, const struct weir_manifest_entry *entries,
                              size_t count, const struct compact_rules *rules,
                              struct compact_plan *ret_plan, struct weir_error *reterr)
{
    struct planning planning;
    size_t from = 0;
    WEIR_TRY(planning_begin(&planning, arena, entries, count, rules, reterr));
    WEIR_TRY(find_candidates(&planning, reterr));
    for (size_t i = 1; i <= planning.candidate_count; i++) {
        if (i < planning.candidate_count &&
            planning.candidates[i].scope == planning.candidates[from].scope)
            continue;
        WEIR_TRY(plan_partition(&planning, planning.candidates + from, i - from, reterr));
        from = i;
    }
    *ret_plan = planning.plan;
    return WEIR_OK;
}

/* ---- delete files ---- */

static int by_entry(const void *a, const void *b)
{
    uintptr_t one = (uintptr_t) * (const void *const *)a,
              other = (uintptr_t) * (const void *const *)b;
    return (one > other) - (one < other);
}

weir_status compact_plan_spent(struct weir_arena *arena, const struct weir_manifest_entry *entries,
                               size_t count, const struct compact_rules *rules,
                               const struct compact_group *groups, size_t group_count,
                               const char ***ret_paths, size_t *ret_count,
                               struct weir_error *reterr)
{
    struct planning planning;
    const struct weir_manifest_entry **gone;
    const char **paths;
    size_t gone_count = 0, spent = 0;
    WEIR_TRY(planning_begin(&planning, arena, entries, count, rules, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof(*gone), &gone, reterr));
    WEIR_TRY(weir_arena_zero(arena, planning.delete_count + 1, sizeof *paths, &paths, reterr));
    for (size_t g = 0; g < group_count; g++)
        for (size_t i = 0; i < groups[g].count; i++)
            gone[gone_count++] = groups[g].files[i];
    qsort(gone, gone_count, sizeof(*gone), by_entry);
    for (size_t d = 0; d < planning.delete_count; d++) {
        bool needed = false;
        for (size_t i = 0; i < count && !needed; i++) {
            const struct weir_manifest_entry *entry = &entries[i];
            needed = entry->file.content == 0 && applies(&planning, planning.deletes[d], i) &&
                     !bsearch(&entry, gone, gone_count, sizeof(*gone), by_entry);
        }
        if (!needed)
            paths[spent++] = entries[planning.deletes[d]].file.path;
    }
    *ret_paths = paths;
    *ret_count = spent;
    return WEIR_OK;
}
