/* The catalog that is only objects: v{N}.metadata.json made once each, by put-if-absent.
 * protocol.md 5, "object-store".
 *
 * The current version is the highest one reached by going on from what is known: at the first load
 * the hint and a listing of names, later the version seen last. A name that was used is never free
 * again, so of all writers that saw N exactly one makes N+1, and the others are told. The hint is
 * for other engines and for speed, never for truth. */
#include "connectors/catalog/catalog_int.h"

#include "engine/base/text.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_DOCUMENT   64 /* bytes: anything shorter is looked at as a tombstone */
#define VERSION_MAX         999999999
#define VERSIONS_LISTED_MAX 10000000

/* What this process knows of a table. Never forgotten, so that a table that changes its uuid is
 * noticed. */
struct seen {
    struct seen *next;
    char *name;
    char uuid[40];
    int64_t version;
};

struct object_catalog {
    struct weir_context *context;
    const struct weir_object_store *store;
    pthread_mutex_t mutex; /* guards seen */
    struct seen *seen;
};

struct version {
    int64_t number;
    bool packed; /* .gz.metadata.json */
    bool tombstone;
};

static weir_status version_object(const struct catalog_name *name, int64_t number, bool packed,
                                  char out[1024], struct weir_error *reterr)
{
    int size = snprintf(out, 1024, "%s/metadata/v%lld%s.metadata.json", name->folder,
                        (long long)number, packed ? ".gz" : "");
    return size < 1024 ? WEIR_OK
                       : weir_fail(reterr, WEIR_UNSUPPORTED, "table %s.%s: its name is too long",
                                   name->space, name->table);
}

static weir_status corrupt(const struct catalog_name *name, struct weir_error *reterr,
                           const char *what, int64_t number)
{
    weir_status status = weir_fail(reterr, WEIR_CORRUPT, "table %s.%s: %s (version %lld)",
                                   name->space, name->table, what, (long long)number);
    weir_error_hint(reterr, "only Weir may write this table; something else put, changed or "
                            "removed objects in its metadata folder");
    return status;
}

/* ---- what this process has seen ------------------------------------------------------------- */

static struct seen *find_seen(struct object_catalog *catalog, const char *name)
{
    struct seen *at = catalog->seen;
    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}

/* 0 = never loaded */
static int64_t seen_version(struct object_catalog *catalog, const char *name)
{
    pthread_mutex_lock(&catalog->mutex);
    const struct seen *seen = find_seen(catalog, name);
    int64_t version = seen ? seen->version : 0;
    pthread_mutex_unlock(&catalog->mutex);
    return version;
}

static weir_status add_seen(struct object_catalog *catalog, const char *name,
                            struct seen **ret_seen, struct weir_error *reterr)
{
    struct seen *seen;
    WEIR_TRY(weir_alloc_zero(&catalog->context->memory, 1, sizeof *seen, &seen, reterr));
    weir_status status = weir_alloc(&catalog->context->memory, strlen(name) + 1, &seen->name,
                                    reterr);
    if (status != WEIR_OK) {
        weir_free(seen);
        return status;
    }
    memcpy(seen->name, name, strlen(name) + 1);
    seen->next = catalog->seen;
    catalog->seen = seen;
    *ret_seen = seen;
    return WEIR_OK;
}

static weir_status remember(struct object_catalog *catalog, const char *table,
                            const struct catalog_name *name, const struct weir_metadata *metadata,
                            int64_t version, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&catalog->mutex);
    struct seen *seen = find_seen(catalog, table);
    if (!seen)
        status = add_seen(catalog, table, &seen, reterr);
    else if (strcasecmp(seen->uuid, weir_metadata_uuid(metadata)) != 0)
        status = corrupt(name, reterr, "the table has another uuid than before: it was replaced",
                         version);
    if (status == WEIR_OK) {
        snprintf(seen->uuid, sizeof seen->uuid, "%s", weir_metadata_uuid(metadata));
        seen->version = version > seen->version ? version : seen->version;
    }
    pthread_mutex_unlock(&catalog->mutex);
    return status;
}

/* ---- objects -------------------------------------------------------------------------------- */

static weir_status is_tombstone(struct object_catalog *catalog, const char *object, uint64_t size,
                                bool *ret_tombstone, struct weir_error *reterr)
{
    *ret_tombstone = false;
    if (size >= SMALLEST_DOCUMENT)
        return WEIR_OK;
    WEIR_AUTO(weir_buffer)
    text = {.account = &catalog->context->memory};
    WEIR_TRY(catalog->store->operations->get(catalog->store->self, object, 0, UINT64_MAX, &text,
                                             NULL, reterr));
    *ret_tombstone = text.size == strlen(WEIR_CATALOG_TOMBSTONE) &&
                     memcmp(text.data, WEIR_CATALOG_TOMBSTONE, text.size) == 0;
    return WEIR_OK;
}

/* Is version `number` there, in either form? */
static weir_status probe(struct object_catalog *catalog, const struct catalog_name *name,
                         int64_t number, bool *ret_there, struct version *ret_version,
                         struct weir_error *reterr)
{
    struct weir_object_info info;
    char object[1024];
    for (int packed = 0; packed < 2; packed++) {
        WEIR_TRY(version_object(name, number, packed, object, reterr));
        weir_status status = catalog->store->operations->head(catalog->store->self, object, &info,
                                                              reterr);
        if (status == WEIR_NOT_FOUND)
            continue;
        WEIR_TRY(status);
        *ret_there = true;
        *ret_version = (struct version){number, packed, false};
        return is_tombstone(catalog, object, info.size, &ret_version->tombstone, reterr);
    }
    *ret_there = false;
    return WEIR_OK;
}

struct hint {
    bool there;
    int64_t version; /* 0 = none, or damaged */
    char etag[WEIR_ETAG_SIZE];
};

static weir_status read_hint(struct object_catalog *catalog, const struct catalog_name *name,
                             struct hint *ret_hint, struct weir_error *reterr)
{
    char object[1024];
    struct weir_object_info info;
    struct hint hint = {0};
    snprintf(object, sizeof object, "%s/metadata/version-hint.text", name->folder);
    WEIR_AUTO(weir_buffer)
    text = {.account = &catalog->context->memory};
    weir_status status = catalog->store->operations->get(catalog->store->self, object, 0,
                                                         UINT64_MAX, &text, &info, reterr);
    if (status != WEIR_NOT_FOUND) {
        WEIR_TRY(status);
        while (text.size && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r' ||
                             text.data[text.size - 1] == ' '))
            text.size--;
        hint.there = true;
        if (!weir_text_int64((const char *)text.data, text.size, &hint.version) ||
            hint.version < 1 || hint.version > VERSION_MAX)
            hint.version = 0;
        memcpy(hint.etag, info.etag, sizeof hint.etag);
    }
    *ret_hint = hint;
    return WEIR_OK;
}

/* Forward only. Losing to another writer, or failing, is no matter: the next one mends it. */
static void write_hint(struct object_catalog *catalog, const struct catalog_name *name,
                       const struct hint *hint, int64_t version)
{
    char object[1024], text[24];
    if (hint->there && hint->version >= version)
        return;
    snprintf(object, sizeof object, "%s/metadata/version-hint.text", name->folder);
    size_t size = weir_print_int64(text, version);
    weir_status ignored = catalog->store->operations->put(
        catalog->store->self, object, text, size,
        hint->there ? WEIR_PUT_IF_MATCH : WEIR_PUT_IF_ABSENT, hint->there ? hint->etag : NULL, NULL,
        NULL);
    (void)ignored;
}

static void advance_hint(struct object_catalog *catalog, const struct catalog_name *name,
                         int64_t version)
{
    struct hint hint;
    if (read_hint(catalog, name, &hint, NULL) == WEIR_OK)
        write_hint(catalog, name, &hint, version);
}

/* ---- finding the current version ------------------------------------------------------------ */

struct listing {
    struct weir_arena *arena;
    struct version *versions;
    size_t count, capacity;
    struct weir_error *reterr;
};

/* "v12.metadata.json", "v12.gz.metadata.json"; false for anything else, leading zeros among it */
static bool parse_version(const char *file, struct version *ret_version)
{
    char *end;
    if (file[0] != 'v' || file[1] < '1' || file[1] > '9')
        return false;
    long long number = strtoll(file + 1, &end, 10);
    bool packed = strcmp(end, ".gz.metadata.json") == 0;
    *ret_version = (struct version){number, packed, false};
    return number <= VERSION_MAX && (packed || strcmp(end, ".metadata.json") == 0);
}

static weir_status collect_version(void *argument, const struct weir_object_info *info)
{
    struct listing *listing = argument;
    struct version version, *more;
    const char *slash = strrchr(info->name, '/');
    if (!slash || !parse_version(slash + 1, &version))
        return WEIR_OK;
    version.tombstone = info->size < SMALLEST_DOCUMENT; /* looked at later */
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? 2 * listing->capacity : 64;
        if (capacity > VERSIONS_LISTED_MAX)
            return weir_fail(listing->reterr, WEIR_UNSUPPORTED, "more than %d versions of a table",
                             VERSIONS_LISTED_MAX);
        WEIR_TRY(weir_arena_alloc(listing->arena, capacity * sizeof *more, &more, listing->reterr));
        if (listing->count)
            memcpy(more, listing->versions, listing->count * sizeof *more);
        listing->versions = more;
        listing->capacity = capacity;
    }
    listing->versions[listing->count++] = version;
    return WEIR_OK;
}

static int compare_versions(const void *a, const void *b)
{
    int64_t x = ((const struct version *)a)->number, y = ((const struct version *)b)->number;
    return (x > y) - (x < y);
}

/* A listing may have missed what was put while it ran: a gap is one only if the name is really not
 * there. */
static weir_status check_gap(struct object_catalog *catalog, const struct catalog_name *name,
                             int64_t number, struct weir_error *reterr)
{
    struct version version;
    bool there;
    WEIR_TRY(probe(catalog, name, number, &there, &version, reterr));
    return there ? WEIR_OK
                 : corrupt(name, reterr, "a gap: this version is missing, but a later one is there",
                           number);
}

/* Versions: no gap, no name twice, no tombstone above one that lives. */
static weir_status check_listing(struct object_catalog *catalog, const struct catalog_name *name,
                                 struct listing *listing, struct weir_error *reterr)
{
    bool living = false;
    char object[1024];
    for (size_t i = 0; i < listing->count; i++) {
        struct version *version = &listing->versions[i];
        if (i && version->number == version[-1].number)
            return corrupt(name, reterr, "this version is there twice, plain and packed",
                           version->number);
        for (int64_t missing = i ? version[-1].number + 1 : version->number;
             missing < version->number; missing++)
            WEIR_TRY(check_gap(catalog, name, missing, reterr));
        if (version->tombstone) {
            WEIR_TRY(version_object(name, version->number, version->packed, object, reterr));
            WEIR_TRY(is_tombstone(catalog, object, 0, &version->tombstone, reterr));
        }
        if (version->tombstone && living)
            return corrupt(name, reterr, "a tombstone above a version that lives", version->number);
        living |= !version->tombstone;
    }
    return WEIR_OK;
}

/* First load in this process: the hint, then the names. NOT_FOUND when there are neither. */
static weir_status find_first(struct object_catalog *catalog, const struct catalog_name *name,
                              struct hint *hint, struct version *ret_version,
                              struct weir_error *reterr)
{
    struct weir_arena arena;
    char prefix[1024];
    weir_status status;
    weir_arena_init(&arena, &catalog->context->memory);
    struct listing listing = {.arena = &arena, .reterr = reterr};
    WEIR_TRY_OUT(status,
                 read_hint(catalog, name, hint, reterr)); /* before the names: it may only lag */
    snprintf(prefix, sizeof prefix, "%s/metadata/v", name->folder);
    WEIR_TRY_OUT(status, catalog->store->operations->list(catalog->store->self, prefix,
                                                          collect_version, &listing, reterr));
    if (listing.count == 0) {
        status = hint->there ? corrupt(name, reterr, "there is a hint, but no version at all",
                                       hint->version)
                             : weir_fail(reterr, WEIR_NOT_FOUND, "there is no table %s.%s",
                                         name->space, name->table);
        goto out;
    }
    qsort(listing.versions, listing.count, sizeof *listing.versions, compare_versions);
    WEIR_TRY_OUT(status, check_listing(catalog, name, &listing, reterr));
    *ret_version = listing.versions[listing.count - 1];
    if (hint->version > ret_version->number)
        status = corrupt(name, reterr, "the hint names a version that is not there: a gap",
                         hint->version);
out:
    weir_arena_done(&arena);
    return status;
}

/* Goes on from a version that is there to the highest one. */
static weir_status go_on(struct object_catalog *catalog, const struct catalog_name *name,
                         struct version *current, struct weir_error *reterr)
{
    for (;;) {
        struct version next, after;
        bool there, beyond = false;
        WEIR_TRY(probe(catalog, name, current->number + 1, &there, &next, reterr));
        if (!there) {
            WEIR_TRY(probe(catalog, name, current->number + 2, &beyond, &after, reterr));
            if (!beyond)
                break;
            WEIR_TRY(probe(catalog, name, current->number + 1, &there, &next,
                           reterr)); /* both may have come just now */
            if (!there)
                return corrupt(name, reterr,
                               "a gap: this version is missing, but a later one is there",
                               current->number + 1);
        }
        if (next.tombstone && !current->tombstone)
            return corrupt(name, reterr, "a tombstone above a version that lives", next.number);
        *current = next;
    }
    return current->tombstone
               ? corrupt(name, reterr, "the highest version is a tombstone", current->number)
               : WEIR_OK;
}

/* ---- checks of a document ------------------------------------------------------------------- */

static weir_status location_of(struct object_catalog *catalog, const struct catalog_name *name,
                               const struct version *version, struct weir_buffer *out,
                               struct weir_error *reterr)
{
    char object[1024];
    WEIR_TRY(version_object(name, version->number, version->packed, object, reterr));
    return weir_buffer_print(out, reterr, "%s/%s", catalog->store->root_uri, object);
}

/* The document's metadata-log must end with the version before it. */
static weir_status check_log(struct object_catalog *catalog, const struct catalog_name *name,
                             const struct weir_metadata *metadata, int64_t number,
                             struct weir_error *reterr)
{
    const json_t *log = json_object_get(weir_metadata_document(metadata), "metadata-log");
    size_t count = json_array_size(log);
    if (number == 1)
        return count == 0 ? WEIR_OK
                          : corrupt(name, reterr, "the first version has a metadata-log", number);
    const char *last = count ? json_string_value(
                                   json_object_get(json_array_get(log, count - 1), "metadata-file"))
                             : NULL;
    for (int packed = 0; last && packed < 2; packed++) {
        WEIR_AUTO(weir_buffer)
        want = {.account = &catalog->context->memory};
        WEIR_TRY(location_of(catalog, name, &(struct version){number - 1, packed, false}, &want,
                             reterr));
        if (strcmp(last, (const char *)want.data) == 0)
            return WEIR_OK;
    }
    return corrupt(name, reterr, "its metadata-log does not end with the version before it",
                   number);
}

/* At the first load: the version before, if it still lives, is of the same table. */
static weir_status check_predecessor(struct object_catalog *catalog,
                                     const struct catalog_name *name,
                                     const struct weir_metadata *metadata, int64_t number,
                                     struct weir_error *reterr)
{
    struct version before;
    struct weir_metadata *older;
    char object[1024];
    bool there;
    if (number == 1)
        return WEIR_OK;
    WEIR_TRY(probe(catalog, name, number - 1, &there, &before, reterr));
    if (!there)
        return corrupt(name, reterr, "a gap: the version before the current one is missing",
                       number - 1);
    if (before.tombstone)
        return WEIR_OK;
    WEIR_TRY(version_object(name, before.number, before.packed, object, reterr));
    weir_status status = catalog_read(catalog->context, catalog->store, object, &older, reterr);
    if (status == WEIR_NOT_FOUND)
        return corrupt(name, reterr, "a gap: the version before the current one went away",
                       number - 1);
    WEIR_TRY(status);
    bool same = strcasecmp(weir_metadata_uuid(older), weir_metadata_uuid(metadata)) == 0;
    weir_metadata_free(older);
    return same ? WEIR_OK
                : corrupt(name, reterr, "it has another uuid than the version before it", number);
}

static weir_status make_table(struct object_catalog *catalog, const char *table,
                              const struct catalog_name *name, const struct version *version,
                              struct weir_metadata *metadata, struct weir_table **ret_table,
                              struct weir_error *reterr)
{
    char token[24];
    token[weir_print_int64(token, version->number)] = '\0';
    WEIR_AUTO(weir_buffer)
    location = {.account = &catalog->context->memory};
    weir_status status = location_of(catalog, name, version, &location, reterr);
    if (status == WEIR_OK)
        status = remember(catalog, table, name, metadata, version->number, reterr);
    if (status != WEIR_OK) {
        weir_metadata_free(metadata);
        return status;
    }
    return catalog_table_new(catalog->context, table, (const char *)location.data, token, metadata,
                             ret_table, reterr);
}

/* ---- the seam ------------------------------------------------------------------------------- */

static weir_status object_load(void *self, const char *table, struct weir_table **ret_table,
                               struct weir_error *reterr)
{
    struct object_catalog *catalog = self;
    struct catalog_name name;
    struct hint hint = {0};
    struct weir_metadata *metadata;
    char object[1024];
    WEIR_TRY(catalog_name_split(table, &name, reterr));
    struct version version = {.number = seen_version(catalog, table)};
    bool first = version.number == 0, there = true;
    if (first)
        WEIR_TRY(find_first(catalog, &name, &hint, &version, reterr));
    else
        WEIR_TRY(probe(catalog, &name, version.number, &there, &version, reterr));
    if (!there)
        return corrupt(&name, reterr, "a gap: a version seen before is missing", version.number);
    WEIR_TRY(go_on(catalog, &name, &version, reterr));
    WEIR_TRY(version_object(&name, version.number, version.packed, object, reterr));
    weir_status status = catalog_read(catalog->context, catalog->store, object, &metadata, reterr);
    if (status == WEIR_NOT_FOUND)
        return corrupt(&name, reterr, "a gap: the version went away while it was read",
                       version.number);
    WEIR_TRY(status);
    status = check_log(catalog, &name, metadata, version.number, reterr);
    if (status == WEIR_OK && first)
        status = check_predecessor(catalog, &name, metadata, version.number, reterr);
    if (status != WEIR_OK) {
        weir_metadata_free(metadata);
        return status;
    }
    if (first)
        write_hint(catalog, &name, &hint, version.number);
    return make_table(catalog, table, &name, &version, metadata, ret_table, reterr);
}

/* Puts a version's document: the one step that decides. Data files are made durable before. */
static weir_status put_version(struct object_catalog *catalog, const char *table,
                               const struct catalog_name *name, int64_t number,
                               const struct weir_metadata *metadata, struct weir_error *reterr)
{
    const struct weir_object_store *store = catalog->store;
    char object[1024];
    WEIR_AUTO(weir_buffer)
    text = {.account = &catalog->context->memory};
    WEIR_TRY(weir_metadata_write(metadata, &text, reterr));
    WEIR_TRY(version_object(name, number, false, object, reterr));
    WEIR_TRY(store->operations->settle(
        store->self, "",
        reterr)); /* the table's files and what lies outside: refused rows, receipts */
    WEIR_TRY(weir_effect_before(catalog->context, "commit", table, reterr));
    weir_status status = store->operations->put(store->self, object, text.data, text.size,
                                                WEIR_PUT_IF_ABSENT, NULL, NULL, reterr);
    if (weir_effect_after(catalog->context))
        return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME, "%s: the store's answer was lost", table);
    if (status == WEIR_PRECONDITION)
        return weir_fail(reterr, WEIR_PRECONDITION,
                         "%s: version %lld is there already: another writer was first", table,
                         (long long)number);
    return status;
}

static weir_status object_commit(void *self, const struct weir_table *base,
                                 const struct weir_commit *commit, struct weir_table **ret_table,
                                 struct weir_error *reterr)
{
    struct object_catalog *catalog = self;
    struct catalog_name name;
    struct weir_metadata *metadata;
    int64_t number;
    WEIR_TRY(catalog_name_split(base->name, &name, reterr));
    if (!weir_text_int64(base->pointer_token, strlen(base->pointer_token), &number) || number < 1 ||
        number >= VERSION_MAX)
        return weir_fail(reterr, WEIR_INTERNAL, "%s: \"%s\" is no version", base->name,
                         base->pointer_token);
    struct version next = {.number = number + 1};
    WEIR_TRY(weir_metadata_apply(&catalog->context->memory, base->metadata, base->metadata_location,
                                 commit, weir_now_ms(catalog->context), &metadata, reterr));
    weir_status status = put_version(catalog, base->name, &name, next.number, metadata, reterr);
    if (status != WEIR_OK) {
        weir_metadata_free(metadata);
        return status;
    }
    advance_hint(catalog, &name, next.number);
    return make_table(catalog, base->name, &name, &next, metadata, ret_table, reterr);
}

struct emptiness {
    bool first;      /* v1 is there */
    char other[512]; /* a metadata document or hint besides it */
};

static weir_status look_for_documents(void *argument, const struct weir_object_info *info)
{
    struct emptiness *emptiness = argument;
    const char *slash = strrchr(info->name, '/'), *file = slash ? slash + 1 : info->name;
    size_t size = strlen(file), end = strlen("metadata.json");
    if (strcmp(file, "v1.metadata.json") == 0 || strcmp(file, "v1.gz.metadata.json") == 0)
        emptiness->first = true;
    else if (strcmp(file, "version-hint.text") == 0 ||
             (size >= end && strcmp(file + size - end, "metadata.json") == 0))
        snprintf(emptiness->other, sizeof emptiness->other, "%.500s", info->name);
    return WEIR_OK;
}

static weir_status require_empty(struct object_catalog *catalog, const char *table,
                                 const struct catalog_name *name, struct weir_error *reterr)
{
    struct emptiness emptiness = {0};
    char prefix[1024];
    snprintf(prefix, sizeof prefix, "%s/metadata/", name->folder);
    WEIR_TRY(catalog->store->operations->list(catalog->store->self, prefix, look_for_documents,
                                              &emptiness, reterr));
    if (emptiness.first)
        return weir_fail(reterr, WEIR_PRECONDITION, "table %s is there already", table);
    if (!emptiness.other[0])
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_REFUSED, "table %s: its place is not empty: %s",
                                   table, emptiness.other);
    weir_error_hint(
        reterr, "names of versions are never used again; choose another table name or warehouse");
    return status;
}

static weir_status object_create(void *self, const char *table, const struct weir_commit *commit,
                                 struct weir_table **ret_table, struct weir_error *reterr)
{
    struct object_catalog *catalog = self;
    struct catalog_name name;
    struct weir_metadata *metadata;
    struct version first = {.number = 1};
    WEIR_TRY(catalog_name_split(table, &name, reterr));
    WEIR_TRY(require_empty(catalog, table, &name, reterr));
    WEIR_TRY(catalog_create_metadata(catalog->context, catalog->store, &name, commit, &metadata,
                                     reterr));
    weir_status status = put_version(catalog, table, &name, 1, metadata, reterr);
    if (status != WEIR_OK) {
        weir_metadata_free(metadata);
        return status;
    }
    advance_hint(catalog, &name, 1);
    return make_table(catalog, table, &name, &first, metadata, ret_table, reterr);
}

/* ---- listing tables ------------------------------------------------------------------------- */

struct names {
    struct weir_arena *arena;
    const char *space;
    char **names;
    size_t count, capacity;
    struct weir_error *reterr;
};

/* {namespace}/{table}/metadata/v{N}.metadata.json, of the namespace wanted, and not the table taken
 * last */
static weir_status collect_table(void *argument, const struct weir_object_info *info)
{
    struct names *names = argument;
    struct version version;
    char folder[1024], **more;
    snprintf(folder, sizeof folder, "%s", info->name);
    char *slash = strrchr(folder, '/');
    if (!slash || !parse_version(slash + 1, &version))
        return WEIR_OK;
    *slash = '\0';
    char *metadata = strrchr(folder, '/');
    if (!metadata || strcmp(metadata, "/metadata") != 0)
        return WEIR_OK;
    *metadata = '\0';
    char *table = strrchr(folder, '/');
    if (!table)
        return WEIR_OK;
    for (char *at = folder; *at; at++)
        *at = *at == '/' ? '.' : *at;
    size_t space_size = strlen(names->space);
    if (space_size &&
        ((size_t)(table - folder) != space_size || memcmp(folder, names->space, space_size) != 0))
        return WEIR_OK;
    if (names->count && strcmp(names->names[names->count - 1], folder) == 0)
        return WEIR_OK;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 16;
        WEIR_TRY(weir_arena_alloc(names->arena, capacity * sizeof *more, &more, names->reterr));
        if (names->count)
            memcpy(more, names->names, names->count * sizeof *more);
        names->names = more;
        names->capacity = capacity;
    }
    WEIR_TRY(weir_arena_copy(names->arena, folder, strlen(folder), &names->names[names->count],
                             names->reterr));
    names->count++;
    return WEIR_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lists every object below the namespace: for people, not for runs. */
static weir_status object_list(void *self, const char *namespace_name, struct weir_arena *arena,
                               char ***ret_names, size_t *ret_count, struct weir_error *reterr)
{
    struct object_catalog *catalog = self;
    struct names names = {.arena = arena, .space = namespace_name, .reterr = reterr};
    char prefix[1024];
    int size = snprintf(prefix, sizeof prefix, "%s%s", namespace_name,
                        namespace_name[0] ? "/" : "");
    if (size >= (int)sizeof prefix)
        return weir_fail(reterr, WEIR_USAGE, "a namespace of %d bytes", size);
    for (char *at = prefix; *at; at++)
        *at = *at == '.' ? '/' : *at;
    WEIR_TRY(catalog->store->operations->list(catalog->store->self, prefix, collect_table, &names,
                                              reterr));
    if (names.count)
        qsort(names.names, names.count, sizeof *names.names, compare_names);
    *ret_names = names.names;
    *ret_count = names.count;
    return WEIR_OK;
}

static void object_free(void *self)
{
    struct object_catalog *catalog = self;
    if (!catalog)
        return;
    while (catalog->seen) {
        struct seen *next = catalog->seen->next;
        weir_free(catalog->seen->name);
        weir_free(catalog->seen);
        catalog->seen = next;
    }
    pthread_mutex_destroy(&catalog->mutex);
    weir_free(catalog);
}

static const struct weir_catalog_operations operations = {
    .kind = "object-store",
    .load = object_load,
    .create = object_create,
    .commit = object_commit,
    .list = object_list,
    .free = object_free,
};

weir_status weir_catalog_object_store_new(struct weir_context *context,
                                          const struct weir_object_store *store,
                                          struct weir_catalog *ret_catalog,
                                          struct weir_error *reterr)
{
    struct object_catalog *catalog;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *catalog, &catalog, reterr));
    catalog->context = context;
    catalog->store = store;
    pthread_mutex_init(&catalog->mutex, NULL);
    *ret_catalog = (struct weir_catalog){&operations, catalog};
    return WEIR_OK;
}
