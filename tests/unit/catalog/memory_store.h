/* An object store in memory for the catalogs' tests: strict conditions, etags, and answers that go
 * wrong on demand. */
#ifndef WEIR_TESTS_UNIT_CATALOG_MEMORY_STORE_H
#define WEIR_TESTS_UNIT_CATALOG_MEMORY_STORE_H

#include "engine/base/io.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS_MAX 512

struct memory_object {
    char name[512];
    char *data;
    size_t size;
    unsigned etag;
};

struct memory_store {
    pthread_mutex_t mutex;
    struct memory_object objects[OBJECTS_MAX];
    size_t count;
    unsigned etag;
    /* The next put whose name contains `fail_name`: answers fail_status; done all the same if
     * fail_done. */
    const char *fail_name;
    weir_status fail_status;
    bool fail_done;
    int puts, settles;
};

static struct memory_object *memory_find(struct memory_store *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->objects[i].name, name) == 0)
            return &store->objects[i];
    return NULL;
}

static void memory_info(const struct memory_object *object, struct weir_object_info *info)
{
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", object->name);
    snprintf(info->etag, sizeof info->etag, "%u", object->etag);
    info->size = object->size;
}

static weir_status memory_head(void *self, const char *name, struct weir_object_info *ret_info,
                               struct weir_error *reterr)
{
    struct memory_store *store = self;
    pthread_mutex_lock(&store->mutex);
    struct memory_object *object = memory_find(store, name);
    if (object && ret_info)
        memory_info(object, ret_info);
    pthread_mutex_unlock(&store->mutex);
    return object ? WEIR_OK : weir_fail(reterr, WEIR_NOT_FOUND, "no %s", name);
}

static weir_status memory_get(void *self, const char *name, uint64_t offset, uint64_t size,
                              struct weir_buffer *out, struct weir_object_info *ret_info,
                              struct weir_error *reterr)
{
    struct memory_store *store = self;
    WEIR_TRY(memory_head(self, name, ret_info, reterr));
    pthread_mutex_lock(&store->mutex);
    struct memory_object *object = memory_find(store, name);
    weir_status status = offset == 0 && size == UINT64_MAX
                             ? weir_buffer_append(out, object->data, object->size, reterr)
                             : weir_fail(reterr, WEIR_INTERNAL, "ranges are not faked");
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static void memory_set(struct memory_store *store, const char *name, const void *data, size_t size)
{
    struct memory_object *object = memory_find(store, name);
    if (!object)
        object = &store->objects[store->count++];
    snprintf(object->name, sizeof object->name, "%s", name);
    free(object->data);
    object->data = malloc(size + 1);
    memcpy(object->data, data, size);
    object->data[size] = '\0';
    object->size = size;
    object->etag = ++store->etag;
}

static weir_status memory_put(void *self, const char *name, const void *data, size_t size,
                              enum weir_put_mode mode, const char *etag,
                              char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    struct memory_store *store = self;
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&store->mutex);
    struct memory_object *object = memory_find(store, name);
    bool fails = store->fail_name && strstr(name, store->fail_name);
    if ((mode == WEIR_PUT_IF_ABSENT && object) ||
        (mode == WEIR_PUT_IF_MATCH &&
         (!object || (unsigned)strtoul(etag, NULL, 10) != object->etag)))
        status = weir_fail(reterr, WEIR_PRECONDITION, "%s", name);
    else if (!fails || store->fail_done)
        memory_set(store, name, data, size);
    if (fails) {
        store->fail_name = NULL;
        status = weir_fail(reterr, store->fail_status, "told to fail at %s", name);
    }
    store->puts++;
    if (ret_etag)
        snprintf(ret_etag, WEIR_ETAG_SIZE, "%u", store->etag);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static int memory_compare(const void *a, const void *b)
{
    return strcmp(((const struct memory_object *)a)->name, ((const struct memory_object *)b)->name);
}

static weir_status memory_list(void *self, const char *prefix,
                               weir_status (*visit)(void *argument,
                                                    const struct weir_object_info *info),
                               void *argument, struct weir_error *reterr)
{
    struct memory_store *store = self;
    struct weir_object_info info;
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&store->mutex);
    qsort(store->objects, store->count, sizeof *store->objects, memory_compare);
    for (size_t i = 0; status == WEIR_OK && i < store->count; i++)
        if (strncmp(store->objects[i].name, prefix, strlen(prefix)) == 0) {
            memory_info(&store->objects[i], &info);
            status = visit(argument, &info);
        }
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static weir_status memory_settle(void *self, const char *prefix, struct weir_error *reterr)
{
    ((struct memory_store *)self)->settles++;
    return WEIR_OK;
}

/* Removal is for tests alone: what nobody may do to a table. */
__attribute__((unused)) static void memory_remove(struct memory_store *store, const char *name)
{
    struct memory_object *object = memory_find(store, name);
    free(object->data);
    *object = store->objects[--store->count];
    memset(&store->objects[store->count], 0, sizeof *object);
}

static const struct weir_object_store_operations memory_operations = {.kind = "memory",
                                                                      .get = memory_get,
                                                                      .head = memory_head,
                                                                      .put = memory_put,
                                                                      .list = memory_list,
                                                                      .settle = memory_settle};

static void memory_init(struct memory_store *store, struct weir_object_store *ret_store)
{
    memset(store, 0, sizeof *store);
    pthread_mutex_init(&store->mutex, NULL);
    *ret_store = (struct weir_object_store){&memory_operations, store, "s3://lake/wh"};
}

static void memory_done(struct memory_store *store)
{
    for (size_t i = 0; i < store->count; i++)
        free(store->objects[i].data);
    pthread_mutex_destroy(&store->mutex);
}

#endif
