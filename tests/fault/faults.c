/* Forwarding with faults; see faults.h. Tests may end the process when memory is out. */
#include "tests/fault/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct faulty_store {
    struct faults *faults;
    struct weir_object_store inner;
};

struct faulty_catalog {
    struct faults *faults;
    struct weir_account *account;
    struct weir_catalog inner;
};

/* A request on its way: a put, a commit or a create. */
struct delayed {
    struct delayed *next;
    struct weir_object_store store;
    struct weir_catalog catalog;
    struct weir_table *base;
    struct weir_commit commit;
    char *name, *data, etag[WEIR_ETAG_SIZE];
    size_t size;
    enum weir_put_mode mode;
};

static struct fault ask(struct faults *faults, const char *kind, const char *name)
{
    if (faults->around)
        faults->around(faults->self, kind, name, true);
    return faults->next ? faults->next(faults->self, kind, name) : (struct fault){0};
}

static void leave(struct faults *faults, const char *kind, const char *name)
{
    if (faults->around)
        faults->around(faults->self, kind, name, false);
}

static weir_status told(const struct fault *fault, const char *kind, const char *name,
                        struct weir_error *reterr)
{
    static const char *const how[] = {"", "before it", "after it", "delayed", "doubled"};
    return weir_fail(reterr, fault->kind == FAULT_DELAYED ? WEIR_UNKNOWN_OUTCOME : fault->status,
                     "told to fail %s: %s %s", how[fault->kind], kind, name);
}

static struct delayed *wait_for(struct faults *faults, const char *name)
{
    struct delayed *delayed = calloc(1, sizeof *delayed), **at = &faults->first;
    if (!delayed)
        abort();
    delayed->name = strdup(name);
    while (*at)
        at = &(*at)->next;
    *at = delayed;
    faults->waiting++;
    return delayed;
}

/* ---- store ---------------------------------------------------------------------------------- */

static weir_status store_get(void *self, const char *name, uint64_t offset, uint64_t size,
                             struct weir_buffer *out, struct weir_object_info *ret_info,
                             struct weir_error *reterr)
{
    struct faulty_store *store = self;
    struct fault fault = ask(store->faults, "get", name);
    return fault.kind == FAULT_BEFORE
               ? told(&fault, "get", name, reterr)
               : store->inner.operations->get(store->inner.self, name, offset, size, out, ret_info,
                                              reterr);
}

static weir_status store_head(void *self, const char *name, struct weir_object_info *ret_info,
                              struct weir_error *reterr)
{
    struct faulty_store *store = self;
    struct fault fault = ask(store->faults, "head", name);
    return fault.kind == FAULT_BEFORE
               ? told(&fault, "head", name, reterr)
               : store->inner.operations->head(store->inner.self, name, ret_info, reterr);
}

static weir_status store_put(void *self, const char *name, const void *data, size_t size,
                             enum weir_put_mode mode, const char *etag,
                             char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    struct faulty_store *store = self;
    const struct weir_object_store *inner = &store->inner;
    struct fault fault = ask(store->faults, "put", name);
    if (fault.kind == FAULT_BEFORE)
        return told(&fault, "put", name, reterr);
    if (fault.kind == FAULT_DELAYED) {
        struct delayed *delayed = wait_for(store->faults, name);
        delayed->store = *inner;
        delayed->data = malloc(size + 1);
        memcpy(delayed->data, data, size);
        delayed->size = size;
        delayed->mode = mode;
        snprintf(delayed->etag, sizeof delayed->etag, "%s", etag ? etag : "");
        return told(&fault, "put", name, reterr);
    }
    weir_status status = inner->operations->put(inner->self, name, data, size, mode, etag, ret_etag,
                                                reterr);
    if (fault.kind == FAULT_DOUBLED)
        status = inner->operations->put(inner->self, name, data, size, mode, etag, ret_etag,
                                        reterr);
    leave(store->faults, "put", name);
    return fault.kind == FAULT_AFTER ? told(&fault, "put", name, reterr) : status;
}

static weir_status store_list(void *self, const char *prefix,
                              weir_status (*visit)(void *argument,
                                                   const struct weir_object_info *info),
                              void *argument, struct weir_error *reterr)
{
    struct faulty_store *store = self;
    return store->inner.operations->list(store->inner.self, prefix, visit, argument, reterr);
}

static weir_status store_settle(void *self, const char *prefix, struct weir_error *reterr)
{
    struct faulty_store *store = self;
    struct fault fault = ask(store->faults, "settle", prefix);
    return fault.kind == FAULT_BEFORE
               ? told(&fault, "settle", prefix, reterr)
               : store->inner.operations->settle(store->inner.self, prefix, reterr);
}

static const struct weir_object_store_operations store_operations = {.kind = "local",
                                                                     .get = store_get,
                                                                     .head = store_head,
                                                                     .put = store_put,
                                                                     .list = store_list,
                                                                     .settle = store_settle,
                                                                     .free = free};

struct weir_object_store faults_store(struct faults *faults, const struct weir_object_store *inner)
{
    struct faulty_store *store = calloc(1, sizeof *store);
    if (!store)
        abort();
    *store = (struct faulty_store){faults, *inner};
    return (struct weir_object_store){&store_operations, store, inner->root_uri};
}

/* ---- catalog -------------------------------------------------------------------------------- */

static struct weir_table *copy_table(struct weir_account *account, const struct weir_table *table)
{
    struct weir_table *copy;
    WEIR_AUTO(weir_buffer) text = {.account = account};
    size_t name = strlen(table->name) + 1, location = strlen(table->metadata_location) + 1;
    if (weir_alloc_zero(account, 1, sizeof *copy, &copy, NULL) != WEIR_OK ||
        weir_alloc(account, name, &copy->name, NULL) != WEIR_OK ||
        weir_alloc(account, location, &copy->metadata_location, NULL) != WEIR_OK ||
        weir_metadata_write(table->metadata, &text, NULL) != WEIR_OK ||
        weir_metadata_parse(account, text.data, text.size, &copy->metadata, NULL) != WEIR_OK)
        abort();
    memcpy(copy->name, table->name, name);
    memcpy(copy->metadata_location, table->metadata_location, location);
    memcpy(copy->pointer_token, table->pointer_token, sizeof copy->pointer_token);
    return copy;
}

static weir_status catalog_load(void *self, const char *table, struct weir_table **ret_table,
                                struct weir_error *reterr)
{
    struct faulty_catalog *catalog = self;
    struct fault fault = ask(catalog->faults, "load", table);
    if (fault.kind == FAULT_BEFORE)
        return told(&fault, "load", table, reterr);
    weir_status status = catalog->inner.operations->load(catalog->inner.self, table, ret_table,
                                                         reterr);
    leave(catalog->faults, "load", table);
    return status;
}

/* base NULL: create. */
static weir_status request(struct faulty_catalog *catalog, const char *table,
                           const struct weir_table *base, const struct weir_commit *commit,
                           struct weir_table **ret_table, struct weir_error *reterr)
{
    const struct weir_catalog *inner = &catalog->inner;
    return base ? inner->operations->commit(inner->self, base, commit, ret_table, reterr)
                : inner->operations->create(inner->self, table, commit, ret_table, reterr);
}

static weir_status faulty_request(struct faulty_catalog *catalog, const char *table,
                                  const struct weir_table *base, const struct weir_commit *commit,
                                  struct weir_table **ret_table, struct weir_error *reterr)
{
    const char *kind = base ? "commit" : "create";
    struct fault fault = ask(catalog->faults, kind, table);
    struct weir_table *made = NULL;
    if (fault.kind == FAULT_BEFORE)
        return told(&fault, kind, table, reterr);
    if (fault.kind == FAULT_DELAYED) {
        struct delayed *delayed = wait_for(catalog->faults, table);
        delayed->catalog = catalog->inner;
        delayed->base = base ? copy_table(catalog->account, base) : NULL;
        delayed->commit = (struct weir_commit){json_deep_copy(commit->requirements),
                                               json_deep_copy(commit->updates)};
        return told(&fault, kind, table, reterr);
    }
    weir_status status = request(catalog, table, base, commit, &made, reterr);
    if (fault.kind == FAULT_DOUBLED) {
        if (status == WEIR_OK)
            weir_table_free(made);
        status = request(catalog, table, base, commit, &made, reterr);
    }
    leave(catalog->faults, kind, table);
    if (fault.kind == FAULT_AFTER) {
        if (status == WEIR_OK)
            weir_table_free(made);
        return told(&fault, kind, table, reterr);
    }
    if (status == WEIR_OK)
        *ret_table = made;
    return status;
}

static weir_status catalog_create(void *self, const char *table, const struct weir_commit *commit,
                                  struct weir_table **ret_table, struct weir_error *reterr)
{
    return faulty_request(self, table, NULL, commit, ret_table, reterr);
}

static weir_status catalog_commit(void *self, const struct weir_table *base,
                                  const struct weir_commit *commit, struct weir_table **ret_table,
                                  struct weir_error *reterr)
{
    return faulty_request(self, base->name, base, commit, ret_table, reterr);
}

static weir_status catalog_list(void *self, const char *namespace_name, struct weir_arena *arena,
                                char ***ret_names, size_t *ret_count, struct weir_error *reterr)
{
    struct faulty_catalog *catalog = self;
    return catalog->inner.operations->list(catalog->inner.self, namespace_name, arena, ret_names,
                                           ret_count, reterr);
}

static const struct weir_catalog_operations catalog_operations = {
    "faulty", catalog_load, catalog_create, catalog_commit, catalog_list, free};

struct weir_catalog faults_catalog(struct faults *faults, struct weir_account *account,
                                   const struct weir_catalog *inner)
{
    struct faulty_catalog *catalog = calloc(1, sizeof *catalog);
    if (!catalog)
        abort();
    *catalog = (struct faulty_catalog){faults, account, *inner};
    return (struct weir_catalog){&catalog_operations, catalog};
}

/* ---- what is on its way --------------------------------------------------------------------- */

static void delayed_free(struct delayed *delayed)
{
    weir_table_free(delayed->base);
    json_decref(delayed->commit.requirements);
    json_decref(delayed->commit.updates);
    free(delayed->name);
    free(delayed->data);
    free(delayed);
}

bool faults_deliver(struct faults *faults, int at)
{
    struct delayed **link = &faults->first;
    while (*link && at-- > 0)
        link = &(*link)->next;
    struct delayed *delayed = *link;
    if (!delayed)
        return false;
    *link = delayed->next;
    faults->waiting--;
    weir_status status;
    struct weir_table *table = NULL;
    const struct weir_catalog *catalog = &delayed->catalog;
    if (delayed->data)
        status = delayed->store.operations->put(delayed->store.self, delayed->name, delayed->data,
                                                delayed->size, delayed->mode, delayed->etag, NULL,
                                                NULL);
    else
        status = delayed->base ? catalog->operations->commit(catalog->self, delayed->base,
                                                             &delayed->commit, &table, NULL)
                               : catalog->operations->create(catalog->self, delayed->name,
                                                             &delayed->commit, &table, NULL);
    if (status == WEIR_OK)
        weir_table_free(table);
    delayed_free(delayed);
    return status == WEIR_OK;
}

void faults_drop(struct faults *faults)
{
    while (faults->first) {
        struct delayed *next = faults->first->next;
        delayed_free(faults->first);
        faults->first = next;
    }
    faults->waiting = 0;
}
