// SPDX-License-Identifier: GPL-2.0-or-later
/* The steps of an epoch's life by netlink; see install.h. */
#include "unp/netlink/install.h"
#include "km/secret.h"
#include "log.h"
#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_macsec(const struct qkd_channel *c)
{
	return c->kind == QKD_KIND_MACSEC;
}

void netlink_sa_free(struct netlink_sa *sa)
{
	if (!sa)
		return;
	secret_free(sa->out);
	secret_free(sa->queued);
	free(sa);
}

static void explain(const struct qkd_channel *c, const char *what, int err, const char *text)
{
	log_debug("channel %.31s: %s: %s%s%s", c->name, what, strerror(-err), *text ? ": " : "",
		  text);
}

/* -------- what an earlier process left -------- */

static int find_esp(struct netlink_kernel *k, const struct qkd_channel *c,
		    struct netlink_stale *stale)
{
	if (!k->xfrm)
		return -EOPNOTSUPP;
	return netlink_xfrm_find(k->xfrm, c, &stale->esp, &stale->count);
}

/* Transmit SAs other than the one in use are of no use to anybody. */
static int find_macsec(struct netlink_kernel *k, const struct qkd_channel *c,
		       struct netlink_stale *stale)
{
	struct netlink_macsec_found *found = &stale->macsec;
	uint8_t an;
	int err;

	if (!k->macsec)
		return -EOPNOTSUPP;
	err = netlink_macsec_find(k->macsec, c, found);
	if (!err)
		err = netlink_macsec_add_rxsc(k->macsec, c, &stale->rxsc_made);
	for (an = 0; an < QKD_MACSEC_ANS && !err; an++) {
		if (an == found->encoding || !(found->tx & 1U << an))
			continue;
		if (!netlink_macsec_remove_tx(k->macsec, c, an))
			found->tx &= (uint8_t) ~(1U << an);
	}
	return err;
}

int netlink_install_open(struct netlink_kernel *k, const struct qkd_channel *c,
			 struct netlink_stale *stale)
{
	memset(stale, 0, sizeof(*stale));
	return is_macsec(c) ? find_macsec(k, c, stale) : find_esp(k, c, stale);
}

bool netlink_install_has_stale(const struct netlink_stale *stale, bool out)
{
	size_t i;

	for (i = 0; i < stale->count; i++)
		if (stale->esp[i].spi && stale->esp[i].out == out)
			return true;
	return out ? stale->macsec.tx : stale->macsec.rx;
}

static int remove_stale_macsec(struct netlink_kernel *k, const struct qkd_channel *c,
			       uint8_t *numbers, bool out)
{
	int first = 0;
	uint8_t an;

	for (an = 0; an < QKD_MACSEC_ANS; an++) {
		int err;

		if (!(*numbers & 1U << an))
			continue;
		err = out ? netlink_macsec_remove_tx(k->macsec, c, an)
			  : netlink_macsec_remove_rx(k->macsec, c, an);
		if (!err)
			*numbers &= (uint8_t) ~(1U << an);
		else if (!first)
			first = err;
	}
	return first;
}

static int remove_stale_esp(struct netlink_kernel *k, const struct qkd_channel *c,
			    struct netlink_stale *stale, bool out)
{
	int first = 0;
	size_t i;

	for (i = 0; i < stale->count; i++) {
		int err;

		if (!stale->esp[i].spi || stale->esp[i].out != out)
			continue;
		err = netlink_xfrm_delete(k->xfrm, c, stale->esp[i].spi, out);
		if (!err)
			stale->esp[i].spi = 0;
		else if (!first)
			first = err;
	}
	return first;
}

int netlink_install_remove_stale(struct netlink_kernel *k, const struct qkd_channel *c,
				 struct netlink_stale *stale, bool out)
{
	if (is_macsec(c))
		return remove_stale_macsec(k, c, out ? &stale->macsec.tx : &stale->macsec.rx, out);
	return remove_stale_esp(k, c, stale, out);
}

int netlink_install_close(struct netlink_kernel *k, const struct qkd_channel *c,
			  struct netlink_stale *stale)
{
	int err = netlink_install_remove_stale(k, c, stale, true);

	if (!err)
		err = netlink_install_remove_stale(k, c, stale, false);
	if (err)
		return err;
	if (stale->rxsc_made)
		netlink_macsec_delete_rxsc(k->macsec, c);
	free(stale->esp);
	memset(stale, 0, sizeof(*stale));
	return 0;
}

/* -------- putting -------- */

static int put_esp(struct netlink_kernel *k, const struct qkd_channel *c, const struct qkd_key *key,
		   struct netlink_sa *sa)
{
	int err;

	sa->spi_in = netlink_xfrm_spi(c, key->epoch, false);
	sa->spi_out = netlink_xfrm_spi(c, key->epoch, true);
	sa->out = secret_alloc(sizeof(*sa->out));
	if (!sa->out)
		return -ENOMEM;
	*sa->out = key->out;
	err = netlink_xfrm_add(k->xfrm, c, sa->spi_in, false, &key->in, NULL);
	if (!err)
		return 0;
	explain(c, "inbound SA", err, netlink_text(k->xfrm));
	secret_free(sa->out);
	sa->out = NULL;
	return err;
}

/*
 * An old receive SA that still has the number makes room: only one number is
 * surely in use, the one that this end encodes with, and the peer near it.
 */
static int make_room(struct netlink_kernel *k, const struct qkd_channel *c,
		     struct netlink_stale *stale, uint8_t an)
{
	uint8_t bit = (uint8_t)(1U << an);
	int err = 0;

	if (stale->macsec.tx & bit)
		return -EEXIST;
	if (stale->macsec.rx & bit)
		err = netlink_macsec_remove_rx(k->macsec, c, an);
	if (!err)
		stale->macsec.rx &= (uint8_t)~bit;
	return err;
}

static int put_macsec(struct netlink_kernel *k, const struct qkd_channel *c,
		      struct netlink_stale *stale, const struct qkd_key *key, struct netlink_sa *sa)
{
	int err;

	sa->an = key->epoch % QKD_MACSEC_ANS;
	err = make_room(k, c, stale, sa->an);
	if (!err)
		err = netlink_macsec_install(k->macsec, c, sa->an, key);
	if (err)
		explain(c, "MACsec SA", err, netlink_macsec_text(k->macsec));
	return err == -EBUSY ? -EEXIST : err;
}

int netlink_install_put(struct netlink_kernel *k, const struct qkd_channel *c,
			struct netlink_stale *stale, const struct qkd_key *key,
			struct netlink_sa *sa)
{
	sa->epoch = key->epoch;
	memcpy(sa->key_id, key->key_id, sizeof(sa->key_id));
	return is_macsec(c) ? put_macsec(k, c, stale, key, sa) : put_esp(k, c, key, sa);
}

int netlink_install_queue(const struct qkd_key *key, struct netlink_sa *sa)
{
	sa->queued = secret_alloc(sizeof(*sa->queued));
	if (!sa->queued)
		return -ENOMEM;
	*sa->queued = *key;
	sa->epoch = key->epoch;
	sa->an = key->epoch % QKD_MACSEC_ANS;
	memcpy(sa->key_id, key->key_id, sizeof(sa->key_id));
	return 0;
}

int netlink_install_queued(struct netlink_kernel *k, const struct qkd_channel *c,
			   struct netlink_stale *stale, struct netlink_sa *sa)
{
	int err = netlink_install_put(k, c, stale, sa->queued, sa);

	secret_free(sa->queued);
	sa->queued = NULL;
	sa->failed = err;
	return err;
}

/* -------- using and removing -------- */

int netlink_install_activate(struct netlink_kernel *k, const struct qkd_channel *c,
			     struct netlink_sa *sa, const struct netlink_limits *limits)
{
	int err;

	if (is_macsec(c))
		return netlink_macsec_activate(k->macsec, c, sa->an);
	if (!sa->out)
		return -EINVAL;
	/* The youngest of the states that fit is the one that is used. */
	err = netlink_xfrm_add(k->xfrm, c, sa->spi_out, true, sa->out, limits);
	secret_free(sa->out);
	sa->out = NULL;
	if (err) {
		explain(c, "outbound SA", err, netlink_text(k->xfrm));
		sa->spi_out = 0; /* it may be somebody else's */
	}
	return err;
}

int netlink_install_remove_in(struct netlink_kernel *k, const struct qkd_channel *c,
			      const struct netlink_sa *sa)
{
	return is_macsec(c) ? netlink_macsec_remove_rx(k->macsec, c, sa->an)
			    : netlink_xfrm_delete(k->xfrm, c, sa->spi_in, false);
}

/* What was never inserted has no key any more after this: it is gone at once. */
int netlink_install_remove_out(struct netlink_kernel *k, const struct qkd_channel *c,
			       struct netlink_sa *sa)
{
	bool inserted = !sa->out;

	if (is_macsec(c))
		return netlink_macsec_remove_tx(k->macsec, c, sa->an);
	secret_free(sa->out);
	sa->out = NULL;
	if (!inserted)
		sa->spi_out = 0;
	return sa->spi_out ? netlink_xfrm_delete(k->xfrm, c, sa->spi_out, true) : 0;
}

int netlink_install_sent(struct netlink_kernel *k, const struct qkd_channel *c,
			 const struct netlink_sa *sa, uint64_t *packets, uint64_t *bytes)
{
	if (is_macsec(c))
		return netlink_macsec_sent(k->macsec, c, packets, bytes);
	return netlink_xfrm_count(k->xfrm, c, sa->spi_out, true, packets, bytes);
}

void netlink_install_report(struct netlink_kernel *k, const struct qkd_channel *c,
			    const struct netlink_sa *sa, struct qkd_epoch *r)
{
	uint64_t packets, bytes;

	memcpy(r->key_id, sa->key_id, sizeof(r->key_id));
	if (is_macsec(c)) {
		r->an = sa->an;
		return;
	}
	r->spi_in = r->in == QKD_SA_NONE ? 0 : sa->spi_in;
	r->spi_out = r->out == QKD_SA_NONE ? 0 : sa->spi_out;
	if (r->spi_in && !netlink_xfrm_count(k->xfrm, c, sa->spi_in, false, &packets, &bytes)) {
		r->packets_in = packets;
		r->bytes_in = bytes;
	}
	if (r->spi_out && !sa->out &&
	    !netlink_xfrm_count(k->xfrm, c, sa->spi_out, true, &packets, &bytes)) {
		r->packets_out = packets;
		r->bytes_out = bytes;
	}
}
