/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The macsec device of a channel (libnl-route): made if it is missing, checked
 * if it is there, brought up. The channel's SAs are the backend's.
 */
#ifndef UNP_MACSEC_DEVICE_H
#define UNP_MACSEC_DEVICE_H

#include "config/config.h"

/**
 * struct macsec_device
 * @ifindex: in this network namespace
 * @sci: our secure channel identifier, network order (MAC address, port)
 */
struct macsec_device {
	int ifindex;
	uint8_t sci[8];
};

/**
 * macsec_device_ensure - the device of @config stands as the channel needs it
 * @error: gets a sentence: no such parent, a setting that differs and how to
 *         put it right, ...
 *
 * Made with: the channel's cipher suite, protect and encrypt on, validation
 * strict, SCI in every frame, replay protection with the configured window.
 * A device that is there is not changed but for two things: it is brought up,
 * and it gets a pfifo queue if it has none. The queue is what lets frames wait
 * for the moment of a rollover; without it a frame may be lost then.
 * Return: 0; -ENODEV: no parent; -EINVAL: a setting differs; or another
 * negative errno.
 */
int macsec_device_ensure(const struct config_channel *config, struct macsec_device *device,
			 char *error, size_t error_len);

/** macsec_device_peer_sci - the peer's SCI by configuration. Return: 0 or -EINVAL. */
int macsec_device_peer_sci(const struct config_channel *config, uint8_t sci[8]);

#endif
