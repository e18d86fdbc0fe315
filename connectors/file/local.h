/* A folder as an object store: the seam of engine/base/io.h over one local file system.
 *
 * What it promises (protocol.md 5, "Pointers"):
 *
 * put-if-absent: temporary file in the same folder, fsync, link(2), fsync of the folder. link(2)
 * never replaces, so of any number of racing processes one wins, the others get PRECONDITION.
 *
 * put-if-match: compare and rename under a flock'ed lock file ({root}/.weir-locks/NN, NN a hash of
 * the name), so it is atomic between the threads and processes of one machine.
 *
 * etag: size, modification time in nanoseconds and inode. Each replacement gets a modification time
 * strictly above its predecessor's, so an etag never comes back while the object lives.
 *
 * An upload is linked at its finish but fsynced by `settle`: call that before a pointer names it.
 *
 * A process that is killed leaves at most files called .weir-tmp-<random>, which listings never
 * show; weir_store_local_litter finds them.
 *
 * Errors: NO_SPACE (full disk, quota, file size limit), DENIED (no permission, read-only file
 * system), NOT_FOUND, PRECONDITION, USAGE (a name that leaves the root), UNKNOWN_OUTCOME (the
 * object may be visible but its folder could not be made durable), IO. */
#ifndef WEIR_CONNECTORS_FILE_LOCAL_H
#define WEIR_CONNECTORS_FILE_LOCAL_H

#include "engine/base/io.h"

/* A store whose root is the folder `path`, which need not exist before the first write. root_uri is
 * its absolute path with symbolic links resolved. Free with
 * ret_store->operations->free(ret_store->self). */
weir_status weir_store_local_new(struct weir_context *context, const char *path,
                                 struct weir_object_store *ret_store,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

/* Temporary files below `prefix` that are at least age_ms old, in name order: what killed processes
 * left. */
weir_status weir_store_local_litter(const struct weir_object_store *store, const char *prefix,
                                    int64_t age_ms,
                                    weir_status (*visit)(void *argument,
                                                         const struct weir_object_info *info),
                                    void *argument, struct weir_error *reterr) WEIR_MUST_CHECK;

/* Removes one file that weir_store_local_litter named; any other name is refused. */
weir_status weir_store_local_litter_remove(const struct weir_object_store *store, const char *name,
                                           struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
