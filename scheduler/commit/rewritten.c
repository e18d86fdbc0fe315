/* Compactions between two snapshots: files that only changed places. What came and what went is
 * told by files (difference.c), and after a compaction that would be all of them, on both sides,
 * with the same rows. Our own say which files became which, and that their rows are equal; so they
 * are taken back here, newest first, as long as nothing but files of the older snapshot is left of
 * them. What is left otherwise (files that came in between were put together with older ones) is
 * compared row by row, as ever. */
#include "scheduler/commit/land_int.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define COMPACTIONS_MAX 500 /* between two promotions; behind that rows are compared */

/* One compaction: its files, by place in the table of paths. */
struct rewrite {
    uint32_t *added, *removed;
    size_t added_count, removed_count;
    bool taken_back, given_up;
};

struct place {
    const char *path;
    bool is_added, is_removed; /* of the difference, as it was found */
    bool came, went;           /* the same after some compactions have been taken back */
};

struct rewrites {
    struct weir_lake *lake;
    struct weir_arena *arena;
    struct place *places;
    size_t place_count, place_capacity;
    uint32_t *slots; /* number of a place + 1 */
    size_t slot_count;
    struct rewrite *list; /* newest first */
    size_t count;
};

/* ---- places ---- */

static size_t slot_of(const struct rewrites *rewrites, const char *path)
{
    size_t mask = rewrites->slot_count - 1, at = XXH3_64bits(path, strlen(path)) & mask;
    while (rewrites->slots[at] && strcmp(rewrites->places[rewrites->slots[at] - 1].path, path) != 0)
        at = (at + 1) & mask;
    return at;
}

static weir_status grow(struct rewrites *rewrites, struct weir_error *reterr)
{
    size_t capacity = rewrites->place_capacity ? 2 * rewrites->place_capacity : 1024;
    struct place *places;
    WEIR_TRY(weir_arena_zero(rewrites->arena, capacity, sizeof *places, &places, reterr));
    if (rewrites->place_count)
        memcpy(places, rewrites->places, rewrites->place_count * sizeof *places);
    rewrites->places = places;
    rewrites->place_capacity = capacity;
    rewrites->slot_count = 2 * capacity;
    WEIR_TRY(weir_arena_zero(rewrites->arena, rewrites->slot_count, sizeof *rewrites->slots,
                             &rewrites->slots, reterr));
    for (size_t i = 0; i < rewrites->place_count; i++)
        rewrites->slots[slot_of(rewrites, places[i].path)] = (uint32_t)i + 1;
    return WEIR_OK;
}

static weir_status place_of(struct rewrites *rewrites, const char *path, uint32_t *ret_place,
                            struct weir_error *reterr)
{
    if (rewrites->place_count == rewrites->place_capacity)
        WEIR_TRY(grow(rewrites, reterr));
    size_t at = slot_of(rewrites, path);
    if (!rewrites->slots[at]) {
        rewrites->places[rewrites->place_count] = (struct place){.path = path};
        rewrites->slots[at] = (uint32_t)++rewrites->place_count;
    }
    *ret_place = rewrites->slots[at] - 1;
    return WEIR_OK;
}

/* ---- compactions ---- */

/* Ours, and no row fewer behind it than before: it applied no deletes. */
static bool only_moves(const struct weir_snapshot *snapshot)
{
    const char *kind = json_string_value(json_object_get(snapshot->summary, "weir.kind")),
               *added = json_string_value(json_object_get(snapshot->summary, "added-records")),
               *removed = json_string_value(json_object_get(snapshot->summary, "deleted-records"));
    return kind && strcmp(kind, "compact") == 0 && strcmp(snapshot->operation, "replace") == 0 &&
           added && removed && strcmp(added, removed) == 0;
}

static weir_status add_entries(struct rewrites *rewrites, struct rewrite *rewrite,
                               const struct weir_manifest_entry *entries, size_t count,
                               int64_t snapshot_id, struct weir_error *reterr)
{
    uint32_t *added, *removed;
    WEIR_TRY(weir_arena_zero(rewrites->arena, rewrite->added_count + count + 1, sizeof *added,
                             &added, reterr));
    WEIR_TRY(weir_arena_zero(rewrites->arena, rewrite->removed_count + count + 1, sizeof *removed,
                             &removed, reterr));
    if (rewrite->added_count)
        memcpy(added, rewrite->added, rewrite->added_count * sizeof *added);
    if (rewrite->removed_count)
        memcpy(removed, rewrite->removed, rewrite->removed_count * sizeof *removed);
    rewrite->added = added;
    rewrite->removed = removed;
    for (size_t i = 0; i < count; i++) {
        const struct weir_manifest_entry *entry = &entries[i];
        if (entry->snapshot_id != snapshot_id || entry->status == WEIR_ENTRY_EXISTING)
            continue;
        bool came = entry->status == WEIR_ENTRY_ADDED;
        WEIR_TRY(place_of(
            rewrites, entry->file.path,
            came ? &added[rewrite->added_count++] : &removed[rewrite->removed_count++], reterr));
    }
    return WEIR_OK;
}

static weir_status add_compaction(struct rewrites *rewrites, const struct weir_snapshot *snapshot,
                                  struct weir_error *reterr)
{
    struct weir_manifest *manifests;
    struct weir_manifest_entry *entries;
    size_t manifest_count, count;
    WEIR_AUTO(weir_buffer) bytes = {.account = &rewrites->lake->context->memory};
    struct rewrite *rewrite = &rewrites->list[rewrites->count];
    WEIR_TRY(land_get_object(rewrites->lake, snapshot->manifest_list, &bytes, reterr));
    WEIR_TRY(weir_manifest_list_read(rewrites->arena, bytes.data, bytes.size, &manifests,
                                     &manifest_count, reterr));
    for (size_t i = 0; i < manifest_count; i++) {
        if (manifests[i].added_snapshot_id != snapshot->id || manifests[i].content != 0)
            continue;
        WEIR_TRY(land_read_entries(rewrites->lake, rewrites->arena, &manifests[i], &entries, &count,
                                   reterr));
        WEIR_TRY(add_entries(rewrites, rewrite, entries, count, snapshot->id, reterr));
    }
    rewrites->count++;
    return WEIR_OK;
}

/* Compactions on the way from `to` back to `from`; none when there is no such way. */
static weir_status find_compactions(struct rewrites *rewrites, const struct weir_metadata *metadata,
                                    int64_t from, int64_t to, struct weir_error *reterr)
{
    struct weir_snapshot at;
    WEIR_TRY(weir_arena_zero(rewrites->arena, COMPACTIONS_MAX, sizeof *rewrites->list,
                             &rewrites->list, reterr));
    for (int64_t id = to; id != from && rewrites->count < COMPACTIONS_MAX; id = at.parent_id) {
        if (!weir_metadata_snapshot(metadata, id, &at))
            break;
        if (only_moves(&at) && at.manifest_list)
            WEIR_TRY(add_compaction(rewrites, &at, reterr));
    }
    return WEIR_OK;
}

/* ---- taking back ---- */

static bool all_came(const struct rewrites *rewrites, const struct rewrite *rewrite)
{
    for (size_t i = 0; i < rewrite->added_count; i++)
        if (!rewrites->places[rewrite->added[i]].came)
            return false;
    return rewrite->added_count > 0;
}

/* Takes back what is not given up. A file that it had taken out has come again: it is one that had
 * gone since `from`, or one that some older compaction made. */
static void take_back(struct rewrites *rewrites)
{
    for (size_t i = 0; i < rewrites->place_count; i++) {
        rewrites->places[i].came = rewrites->places[i].is_added;
        rewrites->places[i].went = rewrites->places[i].is_removed;
    }
    for (size_t r = 0; r < rewrites->count; r++) {
        struct rewrite *rewrite = &rewrites->list[r];
        rewrite->taken_back = !rewrite->given_up && all_came(rewrites, rewrite);
        for (size_t i = 0; rewrite->taken_back && i < rewrite->added_count; i++)
            rewrites->places[rewrite->added[i]].came = false;
        for (size_t i = 0; rewrite->taken_back && i < rewrite->removed_count; i++) {
            struct place *place = &rewrites->places[rewrite->removed[i]];
            place->came = !place->went;
            place->went = false;
        }
    }
}

/* Compactions that leave a file which neither snapshot has are given up; false: there were none. */
static bool give_up_some(struct rewrites *rewrites)
{
    bool some = false;
    for (size_t r = 0; r < rewrites->count; r++) {
        struct rewrite *rewrite = &rewrites->list[r];
        for (size_t i = 0; rewrite->taken_back && i < rewrite->removed_count; i++) {
            const struct place *place = &rewrites->places[rewrite->removed[i]];
            rewrite->given_up |= place->came && !place->is_added;
        }
        some |= rewrite->taken_back && rewrite->given_up;
    }
    return some;
}

static weir_status note(struct rewrites *rewrites, const struct weir_manifest_entry *entries,
                        size_t count, bool came, struct weir_error *reterr)
{
    uint32_t place;
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(place_of(rewrites, entries[i].file.path, &place, reterr));
        rewrites->places[place].is_added |= came;
        rewrites->places[place].is_removed |= !came;
    }
    return WEIR_OK;
}

static weir_status keep(struct rewrites *rewrites, struct weir_manifest_entry *entries,
                        size_t *count, int64_t *rows, bool came, struct weir_error *reterr)
{
    size_t kept = 0;
    uint32_t place;
    *rows = 0;
    for (size_t i = 0; i < *count; i++) {
        WEIR_TRY(place_of(rewrites, entries[i].file.path, &place, reterr));
        if (!(came ? rewrites->places[place].came : rewrites->places[place].went))
            continue;
        *rows += entries[i].file.record_count;
        entries[kept++] = entries[i];
    }
    *count = kept;
    return WEIR_OK;
}

weir_status land_without_moves(struct weir_lake *lake, const struct weir_metadata *metadata,
                               int64_t from, int64_t to, struct weir_arena *arena,
                               struct weir_difference *difference, struct weir_error *reterr)
{
    struct rewrites rewrites = {.lake = lake, .arena = arena};
    if (from == 0 || difference->removed_count == 0 || difference->added_count == 0 ||
        difference->deletes || !weir_metadata_is_ancestor(metadata, from, to))
        return WEIR_OK;
    weir_status status = find_compactions(&rewrites, metadata, from, to, reterr);
    if (status == WEIR_NOT_FOUND) /* a list that somebody's sweep took: rows are compared */
        return WEIR_OK;
    WEIR_TRY(status);
    if (rewrites.count == 0)
        return WEIR_OK;
    WEIR_TRY(note(&rewrites, difference->added, difference->added_count, true, reterr));
    WEIR_TRY(note(&rewrites, difference->removed, difference->removed_count, false, reterr));
    do
        take_back(&rewrites);
    while (give_up_some(&rewrites));
    WEIR_TRY(keep(&rewrites, difference->added, &difference->added_count, &difference->added_rows,
                  true, reterr));
    return keep(&rewrites, difference->removed, &difference->removed_count,
                &difference->removed_rows, false, reterr);
}
