"""Measurements of spanwatch against its peers, and the captures they are made on."""
