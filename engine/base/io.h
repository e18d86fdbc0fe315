/* The seams to the outside: small tables of functions, filled by connectors/, called by scheduler/,
 * faked in tests. (The catalog's seam speaks of Iceberg metadata and so lives in
 * formats/iceberg/catalog.h.) */
#ifndef WEIR_ENGINE_BASE_IO_H
#define WEIR_ENGINE_BASE_IO_H

#include "engine/base/context.h"

/* ---- object store
 * ------------------------------------------------------------------------------------------- Names
 * are relative to the store's root (a folder, or bucket + prefix), '/'-separated, never absolute,
 * no "..". All calls block; they may be called from several threads at once. Uploads of parts go on
 * in the background. Statuses: NOT_FOUND; PRECONDITION = the condition did not hold, told by the
 * store; UNKNOWN_OUTCOME = the request may or may not have taken place (only writes); UNAVAILABLE =
 * gave up after retries, certainly not done. */

#define WEIR_ETAG_SIZE 128

struct weir_object_info {
    char name[1024]; /* relative name */
    uint64_t size;
    char etag[WEIR_ETAG_SIZE]; /* opaque; "" when the store has none */
    int64_t modified_ms;
};

enum weir_put_mode {
    WEIR_PUT_ANY,       /* scratch objects only: nothing of a table's is ever overwritten */
    WEIR_PUT_IF_ABSENT, /* EXISTS never; the loser gets PRECONDITION */
    WEIR_PUT_IF_MATCH,  /* etag given; the loser gets PRECONDITION, a missing object too */
};

struct weir_upload; /* one object being written in pieces; becomes visible, whole, at finish */

struct weir_object_store {
    const struct weir_object_store_operations *operations;
    void *self;
    const char *root_uri; /* "s3://bucket/prefix" or an absolute path: what table metadata records;
                             no '/' at the end */
};

struct weir_object_store_operations {
    const char *kind; /* "local", "s3" */
    /* Appends bytes [offset, offset+size) (size UINT64_MAX: to the end) to out. ret_info may be
     * NULL. */
    weir_status (*get)(void *self, const char *name, uint64_t offset, uint64_t size,
                       struct weir_buffer *out, struct weir_object_info *ret_info,
                       struct weir_error *reterr);
    weir_status (*head)(void *self, const char *name, struct weir_object_info *ret_info,
                        struct weir_error *reterr);
    weir_status (*put)(void *self, const char *name, const void *data, size_t size,
                       enum weir_put_mode mode, const char *etag /* IF_MATCH only */,
                       char ret_etag[WEIR_ETAG_SIZE] /* may be NULL */, struct weir_error *reterr);
    /* Every object whose name starts with prefix, in name order; visit returns non-OK to stop
     * (passed through). */
    weir_status (*list)(void *self, const char *prefix,
                        weir_status (*visit)(void *argument, const struct weir_object_info *info),
                        void *argument, struct weir_error *reterr);
    weir_status (*remove)(void *self, const char *name,
                          struct weir_error *reterr); /* missing = OK; the sweeper only */
    /* Put-if-absent of an object of unknown size. begin/write/finish from one thread. finish frees
     * the upload in any case; abandon frees it and leaves litter at most (multipart parts are
     * aborted best-effort). */
    weir_status (*upload_begin)(void *self, const char *name, struct weir_upload **ret_upload,
                                struct weir_error *reterr);
    weir_status (*upload_write)(struct weir_upload *upload, const void *data, size_t size,
                                struct weir_error *reterr);
    weir_status (*upload_finish)(struct weir_upload *upload, struct weir_object_info *ret_info,
                                 struct weir_error *reterr);
    void (*upload_abandon)(struct weir_upload *upload); /* NULL-safe */
    /* Makes finished writes durable below a prefix before a pointer names them (fsync of files and
     * folders; nothing on S3). */
    weir_status (*settle)(void *self, const char *prefix, struct weir_error *reterr);
    void (*free)(void *self);
};

/* A store that can tell losers. Races put-if-absent and put-if-match through two connections,
 * conditional multipart completion, HEAD of an absent key; leaves nothing behind under `{prefix}`.
 * REFUSED with what failed. */
weir_status weir_object_store_probe(struct weir_context *context,
                                    const struct weir_object_store *store, const char *prefix,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- log source (Kafka)
 * ------------------------------------------------------------------------------------- A record's
 * bytes stay valid until the batch that holds them is released. */

struct weir_log_record {
    int64_t offset;
    int64_t timestamp_ms;         /* -1 = none */
    struct weir_bytes key, value; /* data NULL = null (a tombstone if value) */
    const void *headers;          /* opaque to callers; see log_source.headers */
};

struct weir_log_partition {
    const char *topic;
    int32_t partition;
};

struct weir_log_offsets {
    int64_t first;          /* log start offset */
    int64_t last_stable;    /* read_committed end: from ListOffsets, never cached */
    int64_t high_watermark; /* minus last_stable = held by open transactions */
};

struct weir_log_batch {
    const struct weir_log_record *records;
    size_t count;
    int64_t position; /* offset the reader has come to: everything below was delivered or does not
                         exist for this isolation */
    bool end;         /* position >= to: the range is done */
    void *owner;      /* the implementation's; release by log_source.release */
};

struct weir_log_source {
    const struct weir_log_source_operations *operations;
    void *self;
};

struct weir_log_reader;

struct weir_log_source_operations {
    /* Id of the cluster ("" if the broker has none), copied into ret_text. */
    weir_status (*cluster_id)(void *self, char ret_text[128], struct weir_error *reterr);
    /* Topics that match (names, or one /regex/ given at open) and their partition counts, sorted by
     * topic, partition. The array and its texts live in the arena. */
    weir_status (*partitions)(void *self, struct weir_arena *arena,
                              struct weir_log_partition **ret_partitions, size_t *ret_count,
                              struct weir_error *reterr);
    weir_status (*offsets)(void *self, const struct weir_log_partition *partitions, size_t count,
                           struct weir_log_offsets *ret_offsets, struct weir_error *reterr);
    /* First offset whose timestamp is >= time_ms; the last stable offset if there is none. */
    weir_status (*offsets_for_time)(void *self, const struct weir_log_partition *partitions,
                                    size_t count, int64_t time_ms, int64_t *ret_offsets,
                                    struct weir_error *reterr);
    /* True if the topic's cleanup.policy contains "compact". */
    weir_status (*is_compacted)(void *self, const char *topic, bool *ret_compacted,
                                struct weir_error *reterr);
    /* Reads the ranges [from[i], to[i]) of the partitions, one after another in the order given,
     * while later ones are prefetched within `prefetch_bytes`. committed = read_committed, else
     * read_uncommitted. */
    weir_status (*read_begin)(void *self, const struct weir_log_partition *partitions,
                              const int64_t *from, const int64_t *to, size_t count, bool committed,
                              size_t prefetch_bytes, struct weir_log_reader **ret_reader,
                              struct weir_error *reterr);
    /* Next records of partitions[i], i in *ret_index, up to about bytes_max of them, waiting at
     * most wait_ms (then an empty batch with the position so far). After the last range ends:
     * *ret_index = count. Offsets wanted but gone: DECISION. */
    weir_status (*read_next)(struct weir_log_reader *reader, size_t bytes_max, int64_t wait_ms,
                             size_t *ret_index, struct weir_log_batch *ret_batch,
                             struct weir_error *reterr);
    void (*release)(struct weir_log_reader *reader,
                    struct weir_log_batch *batch);    /* from any thread */
    void (*read_end)(struct weir_log_reader *reader); /* NULL-safe; all batches released before */
    /* The record at or after `offset` (read_uncommitted), copied into the buffer as key bytes then
     * value bytes; NOT_FOUND if the log has none below its end. */
    weir_status (*read_one)(void *self, const struct weir_log_partition *partition, int64_t offset,
                            struct weir_log_record *ret_record, struct weir_buffer *bytes,
                            struct weir_error *reterr);
    /* Publishes group offsets (a mirror). Never backwards. */
    weir_status (*mirror)(void *self, const char *group,
                          const struct weir_log_partition *partitions, const int64_t *next,
                          size_t count, struct weir_error *reterr);
    /* Copies headers of a record (of a batch not yet released) as (key, value) pairs into the
     * arena. */
    weir_status (*headers)(void *self, const struct weir_log_record *record,
                           struct weir_arena *arena, struct weir_bytes (**ret_pairs)[2],
                           size_t *ret_count, struct weir_error *reterr);
    void (*free)(void *self);
};

#endif
