/* Spill files: runs of bytes on disk that die with the process (unlinked as soon as they are open).
 * Thread-safe where said. */
#ifndef WEIR_ENGINE_EXEC_SPILL_H
#define WEIR_ENGINE_EXEC_SPILL_H

#include "engine/base/context.h"

struct weir_spill;
struct weir_spill_file;

/* folder is made if it is not there; limit: bytes of all files together (0 = none); NO_SPACE names
 * run.spill beyond it. */
weir_status weir_spill_new(struct weir_account *account, const char *folder, uint64_t limit,
                           struct weir_spill **ret_spill,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_spill_free(struct weir_spill *spill);            /* after all its files */
uint64_t weir_spill_bytes(const struct weir_spill *spill); /* written so far, all files */

/* One file: appended to by one thread at a time, buffered (256 KiB); read back after `finish` by
 * any number of readers, each at its own place. */
weir_status weir_spill_file_new(struct weir_spill *spill, struct weir_spill_file **ret_file,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_spill_write(struct weir_spill_file *file, const void *data, size_t size,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
uint64_t weir_spill_size(const struct weir_spill_file *file);
weir_status weir_spill_finish(struct weir_spill_file *file,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* Exactly size bytes from offset. CORRUPT beyond the end. */
weir_status weir_spill_read(struct weir_spill_file *file, uint64_t offset, void *data, size_t size,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_spill_file_free(struct weir_spill_file *file); /* NULL-safe; frees the disk's bytes */

#endif
