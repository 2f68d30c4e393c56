"""
Routee's pull API, emulated: the state of the traffic, asked for over HTTP.
"""
