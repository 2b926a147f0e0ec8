/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps of an epoch's life by netlink: ESP and MACsec behind one set of
 * functions, as in the module (kmod/backend.h).
 */
#ifndef UNP_NETLINK_INSTALL_H
#define UNP_NETLINK_INSTALL_H

#include "unp/netlink/macsec.h"
#include "unp/netlink/xfrm.h"

/** The kernel's interfaces; @macsec is NULL if the driver is not there. */
struct netlink_kernel {
	struct netlink *xfrm;
	struct netlink_macsec *macsec;
};

/**
 * struct netlink_sa - both SAs of one epoch
 * @out: ESP: the outbound key until it is inserted, in locked memory; else NULL
 * @queued: MACsec: the material while it waits for its number, in locked memory; else NULL
 * @failed: MACsec: it waited, and then could not be installed; told already
 */
struct netlink_sa {
	uint64_t epoch;
	uint8_t key_id[QKD_KEY_ID_BYTES];
	uint8_t an;
	uint32_t spi_in;
	uint32_t spi_out;
	struct qkd_material *out;
	struct qkd_key *queued;
	bool failed;
};

/**
 * struct netlink_stale - SAs of the channel that an earlier process left
 * @esp: array of @count, or NULL
 * @macsec: association numbers
 * @rxsc_made: the receive channel is this process's
 */
struct netlink_stale {
	struct netlink_xfrm_found *esp;
	size_t count;
	struct netlink_macsec_found macsec;
	bool rxsc_made;
};

/** -EOPNOTSUPP: the kernel has not got the interface. @stale gets what stands already. */
int netlink_install_open(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			 struct netlink_stale *stale);

/** Inbound SA stands after this. Fills @sa's SPIs or number and @sa->out. */
int netlink_install_put(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			struct netlink_stale *stale, const struct qkd_key *key,
			struct netlink_sa *sa);

/** MACsec: keeps @key in @sa until netlink_install_queued(). Return: 0, -ENOMEM. */
int netlink_install_queue(const struct qkd_key *key, struct netlink_sa *sa);

/** netlink_install_put() of what was kept, which is wiped, whatever the outcome. */
int netlink_install_queued(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			   struct netlink_stale *stale, struct netlink_sa *sa);

/** @limits: ESP: those of the SA; not looked at for MACsec */
int netlink_install_activate(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			     struct netlink_sa *sa, const struct netlink_limits *limits);

/**
 * netlink_install_sent - what the channel has sent so far
 * ESP: through @sa, the one in use (-ESRCH: it is gone). MACsec: by the device,
 * with whatever key.
 */
int netlink_install_sent(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			 const struct netlink_sa *sa, uint64_t *packets, uint64_t *bytes);

/* Removing: 0: it is gone, or was; negative errno: it stands still. May be tried again. */
int netlink_install_remove_in(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			      const struct netlink_sa *sa);
int netlink_install_remove_out(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			       struct netlink_sa *sa);

/** Packets and octets, where the kernel counts them per SA. */
void netlink_install_report(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			    const struct netlink_sa *sa, struct qkd_epoch *record);

/** Removes what an earlier process left in that direction. */
int netlink_install_remove_stale(struct netlink_kernel *kernel, const struct qkd_channel *channel,
				 struct netlink_stale *stale, bool out);

/** The channel goes: what is left of it besides its epochs. */
int netlink_install_close(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			  struct netlink_stale *stale);

/** Whether SAs of an earlier process stand in that direction. */
bool netlink_install_has_stale(const struct netlink_stale *stale, bool out);

/** Wipes and frees. */
void netlink_sa_free(struct netlink_sa *sa);

#endif
