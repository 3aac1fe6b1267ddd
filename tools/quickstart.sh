#!/usr/bin/env bash
# Set up, render the small datasets, and compare the arms on a detector and a segmentor, each at tuned settings.
# What is done already is not done again: a second call is instant.
exec bash "$(dirname "${BASH_SOURCE[0]}")/study.sh" mini "$@"
